;; A guest of ABI v1 written by hand, from the text of package abi alone: a counter.
;;
;;   state      {count}   a 64-bit integer, 0 at first
;;   increment  {by}      adds by, 1 when there is none
;;   decrement  {by}      subtracts it
;;   reset                back to 0
;;
;; A sum that does not fit 64 bits is rejected. There are no effects. States are kept in slots.
;;
;; Memory:
;;   0x0100  the manifest
;;   0x0300  codes and texts of refusals
;;   0x0380  what follows the first bytes 0xc0 to 0xdf of msgpack, see $skip
;;   0x0400  the output frame
;;   0x0800  256 slots of 24 bytes: ticket i64, count i64, held i32, unused i32
;;   0x2000  the input buffer, to the end of memory
(module $counter
  (memory (export "memory") 1)

  (global $input i32 (i32.const 0x2000))

  (global $OK i32 (i32.const 0))            ;; statuses
  (global $REJECTED i32 (i32.const 1))
  (global $BAD_ACTION i32 (i32.const 2))
  (global $BAD_STATE i32 (i32.const 3))
  (global $NO_SUCH_SLOT i32 (i32.const 4))
  (global $STATE_CHANGED i32 (i32.const 1)) ;; flags
  (global $CLEAN i32 (i32.const 2))

  (data (i32.const 0x0100)
    "\87"
    "\a3abi"       "\00"
    "\a4name"      "\a7counter"
    "\a7version"   "\a51.0.0"
    "\a6schema"    "\01"
    "\a9residency" "\a5slots"
    "\a5slots"     "\cd\01\00"
    "\a7actions"   "\93"
      "\83" "\a4type" "\a9increment" "\a4kind" "\a7command" "\a3doc" "\adAdd by, or 1."
      "\83" "\a4type" "\a9decrement" "\a4kind" "\a7command" "\a3doc" "\b2Subtract by, or 1."
      "\83" "\a4type" "\a5reset"     "\a4kind" "\a7command" "\a3doc" "\adGo back to 0.")

  (data (i32.const 0x0300) "overflow" "the count would leave the range of 64 bits")
  (data (i32.const 0x0340) "by is not an integer")
  (data (i32.const 0x0358) "count is not an integer")

  (func (export "cr1_describe") (result i64)
    (call $answer (global.get $OK) (i32.const 0) (i32.const 217) (i32.const 0) (i32.const 0) (i32.const 0x0100)))

  ;; The output frame that every call answers with: body, or code and text, are taken from $from.
  (func $answer (param $status i32) (param $flags i32) (param $body i32) (param $code i32) (param $text i32) (param $from i32) (result i64)
    (local $len i32)
    (i32.store   offset=0  (i32.const 0x0400) (i32.const 0x0020_0001))  ;; version 1, header of 32 bytes
    (i32.store8  offset=4  (i32.const 0x0400) (local.get $status))
    (i32.store8  offset=5  (i32.const 0x0400) (local.get $flags))
    (i32.store16 offset=6  (i32.const 0x0400) (i32.const 0))
    (i64.store   offset=8  (i32.const 0x0400) (i64.const 16))           ;; the size hint: every state is 16 bytes long
    (i32.store   offset=16 (i32.const 0x0400) (local.get $body))
    (i32.store   offset=20 (i32.const 0x0400) (local.get $code))
    (i32.store   offset=24 (i32.const 0x0400) (local.get $text))
    (i32.store   offset=28 (i32.const 0x0400) (i32.const 0))
    (local.set $len (i32.add (local.get $body) (i32.add (local.get $code) (local.get $text))))
    (memory.copy (i32.const 0x0420) (local.get $from) (local.get $len))
    (i64.add (i64.const 0x0000_0400_0000_0020) (i64.extend_i32_u (local.get $len))))  ;; ptr<<32 | len

  (func (export "cr1_buffer") (param $size i32) (result i32)
    (local $pages i32)
    (local.set $pages (i32.wrap_i64 (i64.shr_u
      (i64.add (i64.extend_i32_u (local.get $size)) (i64.const 0x1_2007))  ;; 0x2000, 8 to spare for reading ahead, and rounded up
      (i64.const 16))))
    (if (i32.gt_u (local.get $pages) (memory.size))
      (then
        (if (i32.eq (memory.grow (i32.sub (local.get $pages) (memory.size))) (i32.const -1))
          (then unreachable))))
    (global.get $input))

  ;; ---- Slots

  (func $slot (param $slot i32) (result i32)
    (i32.add (i32.const 0x0800) (i32.mul (local.get $slot) (i32.const 24))))

  (func $holds (param $slot i32) (param $ticket i64) (result i32)
    (if (i32.ge_u (local.get $slot) (i32.const 256)) (then (return (i32.const 0))))
    (local.set $slot (call $slot (local.get $slot)))
    (i32.and
      (i32.load offset=16 (local.get $slot))
      (i64.eq (i64.load (local.get $slot)) (local.get $ticket))))

  (func (export "cr1_evict") (param $slot i32) (param $ticket i64)
    (if (call $holds (local.get $slot) (local.get $ticket))
      (then (i32.store offset=16 (call $slot (local.get $slot)) (i32.const 0)))))

  (func (export "cr1_state") (param $slot i32) (param $ticket i64) (result i64)
    (local $count i64) (local $at i32)
    (if (i32.eqz (call $holds (local.get $slot) (local.get $ticket)))
      (then (return (call $no_such_slot))))
    (local.set $count (i64.load offset=8 (call $slot (local.get $slot))))
    (i64.store (i32.const 0x0420) (i64.const 0xd374_6e75_6f63_a581))  ;; "\81\a5count\d3": a map of one, its key, a signed integer
    (local.set $at (i32.const 0x0430))
    (loop $byte                                                       ;; msgpack is big-endian: the last byte goes first
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i64.store8 (local.get $at) (local.get $count))
      (local.set $count (i64.shr_u (local.get $count) (i64.const 8)))
      (br_if $byte (i32.gt_u (local.get $at) (i32.const 0x0428))))
    (call $answer (global.get $OK) (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 0) (i32.const 0x0420)))

  (func $no_such_slot (result i64)
    (call $answer (global.get $NO_SUCH_SLOT) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))

  ;; ---- The reducer

  (func (export "cr1_reduce") (param $len i32) (result i64)
    (local $mode i32) (local $action i32) (local $slot i32) (local $state i32) (local $body i32)
    (local $count i64) (local $by i64) (local $sum i64) (local $over i64)
    (call $check_frame (local.get $len))
    (local.set $mode (i32.load8_u offset=4 (global.get $input)))
    (local.set $action (i32.load16_u offset=6 (global.get $input)))
    (local.set $slot (i32.load offset=12 (global.get $input)))
    (local.set $state (i32.add (global.get $input) (i32.load16_u offset=2 (global.get $input))))
    (local.set $body (i32.add (local.get $state) (i32.load offset=56 (global.get $input))))

    ;; Where the state comes from.
    (if (i32.eq (local.get $mode) (i32.const 2))
      (then  ;; RESIDENT
        (if (i32.eqz (call $holds (local.get $slot) (i64.load offset=16 (global.get $input))))
          (then (return (call $no_such_slot))))
        (local.set $slot (call $slot (local.get $slot))))
      (else
        (local.set $slot (call $slot (local.get $slot)))
        (i64.store offset=0 (local.get $slot) (i64.load offset=16 (global.get $input)))
        (i64.store offset=8 (local.get $slot) (i64.const 0))
        (i32.store offset=16 (local.get $slot) (i32.const 1))
        (if (local.get $mode)
          (then  ;; STATE
            (call $read (local.get $state) (local.get $body))
            (i64.store offset=8 (local.get $slot)
              (call $field (i64.const 0x74_6e75_6f63) (i32.const 5) (i64.const 0)))  ;; "count"
            (if (call $failed)
              (then
                (i32.store offset=16 (local.get $slot) (i32.const 0))
                (return (call $answer (global.get $BAD_STATE) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 23) (i32.const 0x0358)))))))))
    (local.set $count (i64.load offset=8 (local.get $slot)))

    ;; What the action asks for. Until the sum is stored the slot is as it was: every refusal is CLEAN.
    (call $read (local.get $body) (i32.add (local.get $body) (i32.load offset=60 (global.get $input))))
    (block $done
      (block $unknown
        (block $reset
          (block $decrement
            (block $increment
              (br_table $increment $decrement $reset $unknown (local.get $action)))  ;; as the manifest numbers them
            (local.set $by (call $field (i64.const 0x7962) (i32.const 2) (i64.const 1)))  ;; "by"
            (local.set $sum (i64.add (local.get $count) (local.get $by)))
            (local.set $over (i64.and (i64.xor (local.get $sum) (local.get $count)) (i64.xor (local.get $sum) (local.get $by))))
            (br $done))
          (local.set $by (call $field (i64.const 0x7962) (i32.const 2) (i64.const 1)))
          (local.set $sum (i64.sub (local.get $count) (local.get $by)))
          (local.set $over (i64.and (i64.xor (local.get $count) (local.get $by)) (i64.xor (local.get $count) (local.get $sum))))
          (br $done))
        (call $skip)
        (br $done))
      unreachable)
    (if (call $failed)
      (then (return (call $answer (global.get $BAD_ACTION) (global.get $CLEAN) (i32.const 0) (i32.const 0) (i32.const 20) (i32.const 0x0340)))))
    (if (i64.lt_s (local.get $over) (i64.const 0))
      (then (return (call $answer (global.get $REJECTED) (global.get $CLEAN) (i32.const 0) (i32.const 8) (i32.const 42) (i32.const 0x0300)))))
    (i64.store offset=8 (local.get $slot) (local.get $sum))
    (call $answer (global.get $OK)
      (select (global.get $STATE_CHANGED) (i32.const 0) (i64.ne (local.get $sum) (local.get $count)))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))

  ;; Traps on a frame that no host of this version sends.
  (func $check_frame (param $len i32)
    (local $header i32)
    (if (i32.lt_u (local.get $len) (i32.const 72)) (then unreachable))
    (if (i32.ne (i32.load16_u offset=0 (global.get $input)) (i32.const 1)) (then unreachable))  ;; version
    (local.set $header (i32.load16_u offset=2 (global.get $input)))
    (if (i32.lt_u (local.get $header) (i32.const 72)) (then unreachable))
    (if (i32.gt_u (i32.load8_u offset=4 (global.get $input)) (i32.const 2)) (then unreachable))  ;; mode
    (if (i32.load8_u offset=5 (global.get $input)) (then unreachable))
    (if (i32.load offset=8 (global.get $input)) (then unreachable))  ;; flags
    (if (i32.ge_u (i32.load offset=12 (global.get $input)) (i32.const 256)) (then unreachable))  ;; slot
    (if (i64.gt_u
          (i64.add
            (i64.add (i64.extend_i32_u (local.get $header)) (i64.load32_u offset=56 (global.get $input)))
            (i64.add (i64.load32_u offset=60 (global.get $input)) (i64.load32_u offset=64 (global.get $input))))
          (i64.extend_i32_u (local.get $len)))
      (then unreachable)))

  ;; ---- Msgpack: a reader from $at to $end. The first fault sticks in $bad, and from then on every byte is 0.

  (global $at (mut i32) (i32.const 0))
  (global $end (mut i32) (i32.const 0))
  (global $bad (mut i32) (i32.const 0))

  (func $read (param $from i32) (param $to i32)
    (global.set $at (local.get $from))
    (global.set $end (local.get $to))
    (global.set $bad (i32.const 0)))

  ;; Whether what was read is not one value and nothing else.
  (func $failed (result i32)
    (i32.or (global.get $bad) (i32.ne (global.get $at) (global.get $end))))

  (func $byte (result i32)
    (if (i32.or (global.get $bad) (i32.ge_u (global.get $at) (global.get $end)))
      (then
        (global.set $bad (i32.const 1))
        (return (i32.const 0))))
    (i32.load8_u (global.get $at))
    (global.set $at (i32.add (global.get $at) (i32.const 1))))

  ;; A big-endian number of $width bytes.
  (func $number (param $width i32) (result i64)
    (local $v i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $width)))
        (local.set $v (i64.or (i64.shl (local.get $v) (i64.const 8)) (i64.extend_i32_u (call $byte))))
        (local.set $width (i32.sub (local.get $width) (i32.const 1)))
        (br $next)))
    (local.get $v))

  (func $jump (param $n i64)
    (if (i64.gt_u (local.get $n) (i64.extend_i32_u (i32.sub (global.get $end) (global.get $at))))
      (then (global.set $bad (i32.const 1)))
      (else (global.set $at (i32.add (global.get $at) (i32.wrap_i64 (local.get $n)))))))

  ;; Any form of integer that fits 64 bits with a sign.
  (func $int (result i64)
    (local $first i32) (local $width i32) (local $v i64) (local $shift i64)
    (local.set $first (call $byte))
    (if (i32.le_u (local.get $first) (i32.const 0x7f)) (then (return (i64.extend_i32_u (local.get $first)))))
    (if (i32.ge_u (local.get $first) (i32.const 0xe0)) (then (return (i64.extend8_s (i64.extend_i32_u (local.get $first))))))
    (if (i32.gt_u (i32.sub (local.get $first) (i32.const 0xcc)) (i32.const 7))
      (then
        (global.set $bad (i32.const 1))
        (return (i64.const 0))))
    (local.set $width (i32.shl (i32.const 1) (i32.and (local.get $first) (i32.const 3))))
    (local.set $v (call $number (local.get $width)))
    (if (i32.ge_u (local.get $first) (i32.const 0xd0))
      (then
        (local.set $shift (i64.extend_i32_u (i32.sub (i32.const 64) (i32.shl (local.get $width) (i32.const 3)))))
        (return (i64.shr_s (i64.shl (local.get $v) (local.get $shift)) (local.get $shift)))))
    (if (i64.lt_s (local.get $v) (i64.const 0)) (then (global.set $bad (i32.const 1))))
    (local.get $v))

  ;; Moves past a string, and returns its length.
  (func $string (result i64)
    (local $first i32) (local $len i64)
    (local.set $first (call $byte))
    (if (i32.eq (i32.and (local.get $first) (i32.const 0xe0)) (i32.const 0xa0))
      (then (local.set $len (i64.extend_i32_u (i32.and (local.get $first) (i32.const 31)))))
      (else
        (if (i32.gt_u (i32.sub (local.get $first) (i32.const 0xd9)) (i32.const 2))
          (then (global.set $bad (i32.const 1)))
          (else (local.set $len (call $number (i32.shl (i32.const 1) (i32.sub (local.get $first) (i32.const 0xd9)))))))))
    (call $jump (local.get $len))
    (local.get $len))

  ;; The number of pairs of a map.
  (func $pairs (result i64)
    (local $first i32)
    (local.set $first (call $byte))
    (if (i32.eq (i32.and (local.get $first) (i32.const 0xf0)) (i32.const 0x80))
      (then (return (i64.extend_i32_u (i32.and (local.get $first) (i32.const 15))))))
    (if (i32.eq (i32.and (local.get $first) (i32.const 0xfe)) (i32.const 0xde))
      (then (return (call $number (i32.shl (i32.const 2) (i32.and (local.get $first) (i32.const 1)))))))
    (global.set $bad (i32.const 1))
    (i64.const 0))

  ;; Reads a map, and returns the integer under one key: $default when the key is absent or nil. The key is $size bytes, given little-endian in $name.
  (func $field (param $name i64) (param $size i32) (param $default i64) (result i64)
    (local $left i64) (local $shift i64)
    (local.set $shift (i64.extend_i32_u (i32.sub (i32.const 64) (i32.shl (local.get $size) (i32.const 3)))))
    (local.set $left (call $pairs))
    (block $done
      (loop $next
        (br_if $done (i32.or (i64.eqz (local.get $left)) (global.get $bad)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (if (i32.and
              (i64.eq (call $string) (i64.extend_i32_u (local.get $size)))
              (i64.eq (i64.shr_u (i64.load (i32.sub (global.get $at) (i32.const 8))) (local.get $shift)) (local.get $name)))
          (then
            (if (i32.eq (i32.load8_u (global.get $at)) (i32.const 0xc0))
              (then (call $skip))
              (else (local.set $default (call $int)))))
          (else (call $skip)))
        (br $next)))
    (local.get $default))

  ;; For each first byte from 0xc0 to 0xdf, how many bytes of a length follow it, and how many bytes besides those that the length counts.
  (data (i32.const 0x0380)
    "\00\00\00\00\01\02\04\01\02\04\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\02\04\02\04\02\04")
  (data (i32.const 0x03a0)
    "\00\00\00\00\00\00\00\01\01\01\04\08\01\02\04\08\01\02\04\08\02\03\05\09\11\00\00\00\00\00\00\00")

  ;; Moves past one value, whatever it is, without recursion: $left counts the values still to come.
  (func $skip
    (local $left i64) (local $first i32) (local $n i64)
    (local.set $left (i64.const 1))
    (block $done
      (loop $next
        (br_if $done (i32.or (i64.eqz (local.get $left)) (global.get $bad)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (local.set $first (call $byte))
        (br_if $next (i32.le_u (local.get $first) (i32.const 0x7f)))   ;; a small integer
        (br_if $next (i32.ge_u (local.get $first) (i32.const 0xe0)))   ;; a small negative one
        (if (i32.lt_u (local.get $first) (i32.const 0xa0))
          (then                                                        ;; a small map or array
            (local.set $left (i64.add (local.get $left) (i64.extend_i32_u
              (i32.shl (i32.and (local.get $first) (i32.const 15)) (i32.lt_u (local.get $first) (i32.const 0x90))))))
            (br $next)))
        (if (i32.lt_u (local.get $first) (i32.const 0xc0))
          (then                                                        ;; a short string
            (call $jump (i64.extend_i32_u (i32.and (local.get $first) (i32.const 31))))
            (br $next)))
        (if (i32.eq (local.get $first) (i32.const 0xc1)) (then (global.set $bad (i32.const 1))))
        (local.set $n (call $number (i32.load8_u offset=0x02c0 (local.get $first))))  ;; 0x0380 - 0xc0
        (if (i32.ge_u (local.get $first) (i32.const 0xdc))
          (then                                                        ;; an array, or from 0xde on a map
            (local.set $left (i64.add (local.get $left)
              (i64.shl (local.get $n) (i64.extend_i32_u (i32.ge_u (local.get $first) (i32.const 0xde)))))))
          (else
            (call $jump (i64.add (local.get $n) (i64.load8_u offset=0x02e0 (local.get $first))))))
        (br $next))))
)
