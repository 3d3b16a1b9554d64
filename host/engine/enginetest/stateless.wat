  ;; A guest that holds no state: what enginetest.Guest adds to one that does not export cr1_state itself.
  (func (export "cr1_state") (param i32 i64) (result i64) (call $answer (i32.const 4) (i32.const 0) (i32.const 0)))
  (func (export "cr1_evict") (param i32 i64))
