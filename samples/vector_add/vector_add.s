; SPDX-License-Identifier: Apache-2.0
; c = a + b for n fp32 numbers. Work-group x takes the block of 16384 that begins at x * 16384.
.kernel vector_add
.arg a dva
.arg b dva
.arg c dva
.arg n u64
.l1 128K
  sreg r1, group_x
  li r2, 16384
  mul r3, r1, r2            ; r3: first number of our block
  arg r4, n
  sub r4, r4, r3
  min r4, r4, r2            ; r4: how many there are
  muli r5, r3, 4            ; r5: the block's distance from the start in bytes
  li r6, 1                  ; a block is one row

  arg r7, a                 ; descriptors: base, rows, columns, stride; where and what
  add r7, r7, r5
  tset t0, r7, r6, r4, r4, hbm.f32.row
  arg r7, b
  add r7, r7, r5
  tset t1, r7, r6, r4, r4, hbm.f32.row
  arg r7, c
  add r7, r7, r5
  tset t2, r7, r6, r4, r4, hbm.f32.row
  li r8, 0
  tset t3, r8, r6, r4, r4, l1.f32.row
  li r8, 65536
  tset t4, r8, r6, r4, r4, l1.f32.row

  ld t3, t0                 ; the engine that loads works beside this stream,
  ld t4, t1 sig s0+1        ; in order: s0 says that both blocks are there
  vadd t3, t3, t4 wait s0-=1 sig s1+1
  st t2, t3 wait s1-=1
  halt                      ; waits for what is still under way
