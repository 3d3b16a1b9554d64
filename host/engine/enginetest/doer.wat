  ;; A counter with actions more: do (3) answers with the effects in the action, whose bytes follow {"type":"do","effects": as they are;
  ;; done (4) counts up, failed (5) down, trap (6) traps.

  ;; became makes the frame at 65536 one of action $action by $by.
  (func $became (param $action i32) (param $by i32) (local $body i32)
    (local.set $body (call $body))
    (i32.store16 offset=6 (i32.const 65536) (local.get $action))
    (i32.store (local.get $body) (i32.const 0x7962a281)) ;; {"by":
    (i32.store8 offset=4 (local.get $body) (local.get $by))
    (i32.store offset=60 (i32.const 65536) (i32.const 5)))

  (func $body (result i32)
    (i32.add (i32.const 65536) (i32.add (i32.load16_u offset=2 (i32.const 65536)) (i32.load offset=56 (i32.const 65536)))))

  (func (export "cr1_reduce") (param $len i32) (result i64) (local $action i32) (local $n i32) (local $result i64)
    (local.set $action (i32.load16_u offset=6 (i32.const 65536)))
    (if (i32.le_u (local.get $action) (i32.const 2)) (then (return (call $counter (local.get $len)))))
    (if (i32.eq (local.get $action) (i32.const 4))
      (then (call $became (i32.const 0) (i32.const 1)) (return (call $counter (local.get $len)))))
    (if (i32.eq (local.get $action) (i32.const 5))
      (then (call $became (i32.const 1) (i32.const 1)) (return (call $counter (local.get $len)))))
    (if (i32.ne (local.get $action) (i32.const 3)) (then unreachable))
    (local.set $n (i32.sub (i32.load offset=60 (i32.const 65536)) (i32.const 17)))
    (if (i32.or (i32.lt_s (local.get $n) (i32.const 1)) (i32.gt_s (local.get $n) (i32.const 900))) ;; up to the manifest's frame
      (then (return (call $answer (i32.const 2) (i32.const 2) (i32.const 0)))))
    (memory.copy (i32.const 96) (i32.add (call $body) (i32.const 17)) (local.get $n))
    (call $became (i32.const 0) (i32.const 0))
    (local.set $result (call $counter (local.get $len)))
    (if (i32.load8_u (i32.const 68)) (then (return (local.get $result))))
    (call $answer (i32.const 0) (i32.const 0) (local.get $n)))
