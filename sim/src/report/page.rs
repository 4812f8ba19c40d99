//! One page with everything in it: the data, the drawing libraries, and our own script.

use std::io::{self, Write};

use super::data::Data;

const HEAD: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// Ours, in the order in which they need each other.
const SCRIPTS: &[&str] = &[
    include_str!("page/base.js"),
    include_str!("page/curves.js"),
    include_str!("page/timeline.js"),
    include_str!("page/flow.js"),
    include_str!("page/map.js"),
    include_str!("page/main.js"),
];
const D3: &str = include_str!("vendor/d3.min.js");
const UPLOT: &str = include_str!("vendor/uplot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("vendor/uplot.min.css");

/// Writes the page.
pub(super) fn write(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    for part in HEAD.split_inclusive("-->") {
        // A comment alone stands for what goes in its place.
        let (text, place) = match part.rsplit_once("<!--") {
            Some((text, place)) => (text, place.trim_end_matches("-->").trim()),
            None => (part, ""),
        };
        to.write_all(text.as_bytes())?;
        match place {
            "style" => {
                tag(to, "style", UPLOT_STYLE)?;
                tag(to, "style", STYLE)?;
            }
            "data" => {
                to.write_all(b"<script type=\"application/json\" id=\"data\">")?;
                serde_json::to_writer(Unmarked(to), data)?;
                to.write_all(b"</script>\n")?;
            }
            "scripts" => {
                tag(to, "script", D3)?;
                tag(to, "script", UPLOT)?;
                for script in SCRIPTS {
                    tag(to, "script", script)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn tag(to: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(to, "<{name}>\n{text}\n</{name}>")
}

/// Writes JSON in which nothing can end the element that it stands in: a `<` is only ever inside a
/// text there, where it may be written as an escape.
struct Unmarked<'a>(&'a mut dyn Write);

impl Write for Unmarked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (place, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if place > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_element_that_holds_the_data() {
        let mut page = Vec::new();
        let text = "</script><!-- \u{2028} é <b>";
        serde_json::to_writer(Unmarked(&mut page), text).expect("a vector takes everything");
        let page = String::from_utf8(page).expect("UTF-8");
        assert!(!page.contains('<'), "{page}");
        assert_eq!(serde_json::from_str::<String>(&page).expect("JSON"), text);
    }
}
