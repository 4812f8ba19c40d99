//! The same numbers as tables, one file each, as spreadsheets and plotters read them.

use std::io::{self, Write};

use super::data::{CARRIED, Data};
use super::spread::Percentiles;

type Table = fn(&Data, &mut dyn Write) -> io::Result<()>;

/// All tables, by file name.
pub(super) const TABLES: &[(&str, Table)] = &[
    ("edges.csv", edges),
    ("events.csv", |data, to| rates(data, &data.rates.told, to)),
    ("failures.csv", |data, to| {
        rates(data, &data.rates.failures, to)
    }),
    ("faults.csv", faults),
    ("findings.csv", findings),
    ("items.csv", items),
    ("lives.csv", lives),
    ("lost.csv", |data, to| rates(data, &data.rates.lost, to)),
    ("marks.csv", marks),
    ("messages.csv", messages),
    ("oracles.csv", oracles),
    ("rates.csv", |data, to| {
        rates(data, &data.rates.messages, to)
    }),
    ("run.csv", run),
    ("spread.csv", spread),
];

/// Text as a field, in quotes where it needs them.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A value, or nothing.
fn maybe<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn run(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    let head = &data.head;
    writeln!(to, "what,value")?;
    for (what, value) in [
        ("seed", head.seed_text.clone()),
        ("nodes", head.nodes.to_string()),
        ("users", head.users.to_string()),
        ("wire", head.wire.to_owned()),
        ("duration_us", head.duration_us.to_string()),
        ("virtual_us", head.virtual_us.to_string()),
        ("calm_us", maybe(head.calm_us)),
        ("settled_us", maybe(head.settled_us)),
        ("events", head.events.to_string()),
        ("hash", head.hash.clone()),
        ("commit", head.commit.to_owned()),
        ("again", head.again.clone()),
        ("good", head.good.to_string()),
    ] {
        writeln!(to, "{what},{}", field(&value))?;
    }
    for (what, count) in &data.kept {
        writeln!(to, "kept_{what},{count}")?;
    }
    Ok(())
}

/// One line per step and name, without the zeros.
fn rates(data: &Data, series: &[(&'static str, Vec<u32>)], to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "from_us,name,count")?;
    for (name, counts) in series {
        for (step, count) in (0_u64..).zip(counts).filter(|(_, count)| **count > 0) {
            let from = step * data.rates.step_us;
            writeln!(to, "{from},{},{count}", field(name))?;
        }
    }
    Ok(())
}

fn spread(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    let Percentiles {
        share,
        p50_us,
        p90_us,
        p99_us,
    } = &data.spread.over_all;
    writeln!(to, "percent_of_nodes,p50_us,p90_us,p99_us")?;
    for (((share, p50), p90), p99) in share.iter().zip(p50_us).zip(p90_us).zip(p99_us) {
        let (p50, p90, p99) = (maybe(*p50), maybe(*p90), maybe(*p99));
        writeln!(to, "{share},{p50},{p90},{p99}")?;
    }
    Ok(())
}

fn items(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(
        to,
        "item,what,at_us,node,reached,t50_us,t90_us,t99_us,last_us"
    )?;
    for item in &data.spread.items {
        writeln!(
            to,
            "{},{},{},{},{},{},{},{},{}",
            field(&item.name),
            field(&item.what),
            item.at,
            item.node,
            item.reached,
            maybe(item.t50_us),
            maybe(item.t90_us),
            maybe(item.t99_us),
            item.last_us,
        )?;
    }
    Ok(())
}

fn faults(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "number,kind,from_us,to_us,text")?;
    for fault in &data.faults {
        writeln!(
            to,
            "{},{},{},{},{}",
            maybe(fault.number),
            fault.kind,
            fault.from,
            maybe(fault.to),
            field(&fault.text),
        )?;
    }
    Ok(())
}

fn lives(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "at_us,node,life")?;
    let lives = &data.lives;
    for ((at, node), life) in lives.at.iter().zip(&lives.node).zip(&lives.life) {
        writeln!(to, "{at},{node},{life}")?;
    }
    Ok(())
}

fn marks(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "at_us,node,event,every,text")?;
    for marks in &data.marks {
        for (place, (at, node)) in marks.at.iter().zip(&marks.node).enumerate() {
            let text = marks.text.get(place).map_or("", String::as_str);
            let (name, every) = (marks.name, marks.every);
            writeln!(to, "{at},{node},{name},{every},{}", field(text))?;
        }
    }
    Ok(())
}

fn messages(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(
        to,
        "exchange,question,carries,from,to,left_us,until_us,fate,failure"
    )?;
    let all = &data.exchanges;
    let mut leg = 0;
    for place in 0..all.number.len() {
        let asks = all.from[place].to_string();
        let asked = maybe(all.to[place]);
        let failure = all.reason[place].map_or("", |reason| all.reasons[reason]);
        for _ in 0..all.legs[place] {
            let carries = all.leg_carries[leg];
            let (from, to_whom) = if matches!(carries, 1 | 2) {
                (&asked, &asks)
            } else {
                (&asks, &asked)
            };
            let left = all.sent[place] + all.leg_at[leg];
            writeln!(
                to,
                "{},{},{},{from},{to_whom},{left},{},{},{}",
                all.number[place],
                all.names[all.name[place]],
                CARRIED[usize::from(carries)],
                left + all.leg_takes[leg],
                ["arrives", "lost", "swallowed"][usize::from(all.leg_fate[leg])],
                field(failure),
            )?;
            leg += 1;
        }
    }
    Ok(())
}

fn edges(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "node,knows,session,from_us,to_us")?;
    let peers = &data.peers;
    for place in 0..peers.edge_a.len() {
        let from = peers.edge_from[place];
        writeln!(
            to,
            "{},{},{},{from},{}",
            peers.edge_a[place],
            peers.edge_b[place],
            peers.edge_session[place],
            from + peers.edge_lasts[place],
        )?;
    }
    Ok(())
}

fn oracles(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "oracle,looks,misses")?;
    for row in &data.oracles {
        writeln!(to, "{},{},{}", row.name, row.looks, row.misses)?;
    }
    Ok(())
}

fn findings(data: &Data, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "at_us,node,oracle,text")?;
    for row in &data.findings {
        let node = maybe(row.node);
        writeln!(to, "{},{node},{},{}", row.at, row.oracle, field(&row.text))?;
    }
    Ok(())
}
