  ;; A counter: {count: int}; increment and decrement take {by: int}, 1 when it is missing. 1,024 slots from 8192, 24 bytes each:
  ;; taken i64, ticket i64, count i64.

  (global $at (mut i32) (i32.const 0))  ;; the next byte to read
  (global $end (mut i32) (i32.const 0)) ;; where reading ends
  (global $bad (mut i32) (i32.const 0)) ;; what was read is not what it should be

  (func $byte (result i32)
    (if (i32.ge_u (global.get $at) (global.get $end)) (then (global.set $bad (i32.const 1)) (return (i32.const 0))))
    (i32.load8_u (global.get $at))
    (global.set $at (i32.add (global.get $at) (i32.const 1))))

  (func $big (param $n i32) (result i64) (local $v i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $v (i64.or (i64.shl (local.get $v) (i64.const 8)) (i64.extend_i32_u (call $byte))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $v))

  (func $int (result i64) (local $c i32) (local $v i64)
    (local.set $c (call $byte))
    (if (i32.le_u (local.get $c) (i32.const 0x7f)) (then (return (i64.extend_i32_u (local.get $c)))))
    (if (i32.ge_u (local.get $c) (i32.const 0xe0)) (then (return (i64.extend8_s (i64.extend_i32_u (local.get $c))))))
    (if (i32.eq (local.get $c) (i32.const 0xcc)) (then (return (call $big (i32.const 1)))))
    (if (i32.eq (local.get $c) (i32.const 0xcd)) (then (return (call $big (i32.const 2)))))
    (if (i32.eq (local.get $c) (i32.const 0xce)) (then (return (call $big (i32.const 4)))))
    (if (i32.eq (local.get $c) (i32.const 0xcf))
      (then
        (local.set $v (call $big (i32.const 8)))
        (if (i64.lt_s (local.get $v) (i64.const 0)) (then (global.set $bad (i32.const 1))))
        (return (local.get $v))))
    (if (i32.eq (local.get $c) (i32.const 0xd0)) (then (return (i64.extend8_s (call $big (i32.const 1))))))
    (if (i32.eq (local.get $c) (i32.const 0xd1)) (then (return (i64.extend16_s (call $big (i32.const 2))))))
    (if (i32.eq (local.get $c) (i32.const 0xd2)) (then (return (i64.extend32_s (call $big (i32.const 4))))))
    (if (i32.eq (local.get $c) (i32.const 0xd3)) (then (return (call $big (i32.const 8)))))
    (global.set $bad (i32.const 1))
    (i64.const 0))

  ;; str steps over a string of up to 255 bytes and gives its length.
  (func $str (result i32) (local $n i32)
    (local.set $n (call $byte))
    (if (i32.eq (i32.and (local.get $n) (i32.const 0xe0)) (i32.const 0xa0))
      (then (local.set $n (i32.and (local.get $n) (i32.const 31))))
      (else
        (if (i32.eq (local.get $n) (i32.const 0xd9))
          (then (local.set $n (call $byte)))
          (else (global.set $bad (i32.const 1)) (local.set $n (i32.const 0))))))
    (global.set $at (i32.add (global.get $at) (local.get $n)))
    (if (i32.gt_u (global.get $at) (global.get $end)) (then (global.set $bad (i32.const 1))))
    (local.get $n))

  ;; by reads an action and gives its amount.
  (func $by (result i64) (local $n i32) (local $len i32) (local $v i64)
    (local.set $v (i64.const 1))
    (local.set $n (call $byte))
    (if (i32.ne (i32.and (local.get $n) (i32.const 0xf0)) (i32.const 0x80)) (then (global.set $bad (i32.const 1))))
    (local.set $n (i32.and (local.get $n) (i32.const 15)))
    (block $done
      (loop $next
        (br_if $done (i32.or (global.get $bad) (i32.eqz (local.get $n))))
        (local.set $len (call $str))
        (br_if $done (global.get $bad))
        (if (i32.and (i32.eq (local.get $len) (i32.const 2))
                     (i32.eq (i32.load16_u (i32.sub (global.get $at) (i32.const 2))) (i32.const 0x7962)))
          (then (local.set $v (call $int)))
          (else (drop (call $str))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next)))
    (if (i32.ne (global.get $at) (global.get $end)) (then (global.set $bad (i32.const 1))))
    (local.get $v))

  ;; count reads a state.
  (func $count (result i64) (local $v i64)
    (if (i32.ne (call $byte) (i32.const 0x81)) (then (global.set $bad (i32.const 1))))
    (if (i32.ne (call $str) (i32.const 5)) (then (global.set $bad (i32.const 1))))
    (local.set $v (call $int))
    (if (i32.ne (global.get $at) (global.get $end)) (then (global.set $bad (i32.const 1))))
    (local.get $v))

  ;; slot is the place of a slot; one beyond the manifest's 1,024 is the host's error.
  (func $slot (param $s i32) (result i32)
    (if (i32.ge_u (local.get $s) (i32.const 1024)) (then unreachable))
    (i32.add (i32.const 8192) (i32.mul (local.get $s) (i32.const 24))))

  (func $holds (param $slot i32) (param $ticket i64) (result i32)
    (i32.and (i32.wrap_i64 (i64.load (local.get $slot)))
             (i64.eq (i64.load offset=8 (local.get $slot)) (local.get $ticket))))

  (func (export "cr1_reduce") (param $len i32) (result i64)
    (local $in i32) (local $mode i32) (local $slot i32) (local $ticket i64) (local $action i32)
    (local $count i64) (local $by i64) (local $next i64) (local $overflow i64)
    (local.set $in (i32.const 65536))
    (if (i32.ne (i32.load16_u (local.get $in)) (i32.const 1)) (then unreachable)) ;; the frame version
    (local.set $mode (i32.load8_u offset=4 (local.get $in)))
    (if (i32.or (i32.gt_u (local.get $mode) (i32.const 2))
                (i32.or (i32.load8_u offset=5 (local.get $in)) (i32.load offset=8 (local.get $in))))
      (then unreachable))
    (if (i64.gt_u ;; the header and its sections reach beyond the frame
          (i64.add (i64.add (i64.load16_u offset=2 (local.get $in)) (i64.load32_u offset=56 (local.get $in)))
                   (i64.add (i64.load32_u offset=60 (local.get $in)) (i64.load32_u offset=64 (local.get $in))))
          (i64.extend_i32_u (local.get $len)))
      (then unreachable))
    (local.set $slot (call $slot (i32.load offset=12 (local.get $in))))
    (local.set $ticket (i64.load offset=16 (local.get $in)))
    (global.set $bad (i32.const 0))
    (global.set $at (i32.add (local.get $in) (i32.load16_u offset=2 (local.get $in))))
    (global.set $end (i32.add (global.get $at) (i32.load offset=56 (local.get $in))))
    (if (i32.eq (local.get $mode) (i32.const 2))
      (then
        (if (i32.eqz (call $holds (local.get $slot) (local.get $ticket)))
          (then (return (call $answer (i32.const 4) (i32.const 0) (i32.const 0))))))
      (else
        (if (local.get $mode) (then (local.set $count (call $count))))
        (if (global.get $bad) (then (return (call $answer (i32.const 3) (i32.const 0) (i32.const 0)))))
        (i64.store (local.get $slot) (i64.const 1))
        (i64.store offset=8 (local.get $slot) (local.get $ticket))
        (i64.store offset=16 (local.get $slot) (local.get $count))))
    (local.set $count (i64.load offset=16 (local.get $slot)))
    (global.set $at (global.get $end))
    (global.set $end (i32.add (global.get $at) (i32.load offset=60 (local.get $in))))
    (local.set $by (call $by))
    (if (global.get $bad) (then (return (call $answer (i32.const 2) (i32.const 2) (i32.const 0)))))
    (local.set $action (i32.load16_u offset=6 (local.get $in)))
    (if (i32.gt_u (local.get $action) (i32.const 2)) (then unreachable))
    (if (i32.eqz (local.get $action))
      (then
        (local.set $next (i64.add (local.get $count) (local.get $by)))
        (local.set $overflow
          (i64.and (i64.xor (local.get $count) (local.get $next)) (i64.xor (local.get $by) (local.get $next))))))
    (if (i32.eq (local.get $action) (i32.const 1))
      (then
        (local.set $next (i64.sub (local.get $count) (local.get $by)))
        (local.set $overflow
          (i64.and (i64.xor (local.get $count) (local.get $by)) (i64.xor (local.get $count) (local.get $next))))))
    (if (i64.lt_s (local.get $overflow) (i64.const 0))
      (then
        (drop (call $answer (i32.const 1) (i32.const 2) (i32.const 0)))
        (i32.store (i32.const 84) (i32.const 8))
        (i64.store (i32.const 96) (i64.const 0x776f6c667265766f)) ;; "overflow"
        (return (i64.const 0x0000004000000028))))
    (i64.store offset=16 (local.get $slot) (local.get $next))
    (call $answer (i32.const 0) (i64.ne (local.get $count) (local.get $next)) (i32.const 0)))

  (func (export "cr1_state") (param $s i32) (param $ticket i64) (result i64)
    (local $slot i32) (local $i i32)
    (local.set $slot (call $slot (local.get $s)))
    (if (i32.eqz (call $holds (local.get $slot) (local.get $ticket)))
      (then (return (call $answer (i32.const 4) (i32.const 0) (i32.const 0)))))
    (i64.store (i32.const 96) (i64.const 0xd3746e756f63a581)) ;; {"count": an int64
    (loop $next
      (i32.store8 offset=104 (local.get $i) (i32.load8_u offset=16 (i32.add (local.get $slot) (i32.sub (i32.const 7) (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 8))))
    (call $answer (i32.const 0) (i32.const 0) (i32.const 16)))

  (func (export "cr1_evict") (param $s i32) (param $ticket i64) (local $slot i32)
    (local.set $slot (call $slot (local.get $s)))
    (if (call $holds (local.get $slot) (local.get $ticket)) (then (i64.store (local.get $slot) (i64.const 0)))))
