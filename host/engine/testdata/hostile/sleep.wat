;; Waits for something.
(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
(func (export "cr1_reduce") (param $len i32) (result i64)
  (drop (call $poll (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64)))
  (i64.const 0))
