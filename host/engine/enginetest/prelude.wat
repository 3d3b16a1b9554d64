  ;; What every guest of enginetest.Guest has. The input buffer is at 65536, output frames at 64, the manifest's frame at 1024.
  (memory (export "memory") 2)

  (func (export "cr1_buffer") (param $size i32) (result i32) (local $missing i32)
    (local.set $missing
      (i32.sub (i32.shr_u (i32.add (local.get $size) (i32.const 131071)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0)) (then (drop (memory.grow (local.get $missing)))))
    (i32.const 65536))

  ;; answer completes the frame whose body of $len bytes is at 96 already.
  (func $answer (param $status i32) (param $flags i32) (param $len i32) (result i64)
    (i64.store (i32.const 64)
      (i64.or (i64.const 0x200001)
        (i64.or (i64.shl (i64.extend_i32_u (local.get $status)) (i64.const 32))
                (i64.shl (i64.extend_i32_u (local.get $flags)) (i64.const 40)))))
    (i64.store (i32.const 72) (i64.const 0))
    (i64.store (i32.const 80) (i64.extend_i32_u (local.get $len)))
    (i64.store (i32.const 88) (i64.const 0))
    (i64.or (i64.shl (i64.const 64) (i64.const 32)) (i64.extend_i32_u (i32.add (local.get $len) (i32.const 32)))))
