;; Logs nothing for ever: lines without text.
(import "crhost" "log" (func $log (param i32 i32 i32)))
(func (export "cr1_reduce") (param $len i32) (result i64)
  (loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 0)) (br $again))
  (i64.const 0))
