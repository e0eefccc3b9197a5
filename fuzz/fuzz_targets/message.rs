#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dfaas_fuzz::Target::Message.run(input));
