//! See `peerage_tests::fuzz::grin`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerage_tests::fuzz::grin(data));
