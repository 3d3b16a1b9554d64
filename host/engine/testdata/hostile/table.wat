;; Calls a function that is not there.
(table 1 funcref)
(type $thunk (func))
(func (export "cr1_reduce") (param $len i32) (result i64)
  (call_indirect (type $thunk) (i32.const 5))
  (i64.const 0))
