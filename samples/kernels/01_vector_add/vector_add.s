; SPDX-License-Identifier: Apache-2.0
; c = a + b. Each work-group adds 1024 numbers: work-group x those from x * 1024 on.
.kernel vector_add
.arg a dva
.arg b dva
.arg c dva
.l1 8K                      ; two blocks of 1024 fp32 numbers

  sreg r1, group_x
  muli r1, r1, 4096         ; r1: where this group's block begins, in bytes
  li r2, 1
  li r3, 1024               ; a block is a tile of 1 row and 1024 columns

  arg r4, a
  add r4, r4, r1
  tset t0, r4, r2, r3, r3, hbm.f32.row
  arg r4, b
  add r4, r4, r1
  tset t1, r4, r2, r3, r3, hbm.f32.row
  arg r4, c
  add r4, r4, r1
  tset t2, r4, r2, r3, r3, hbm.f32.row
  li r5, 4096
  tset t3, r0, r2, r3, r3, l1.f32.row
  tset t4, r5, r2, r3, r3, l1.f32.row

  ld t3, t0
  ld t4, t1 sig s0+1
  vadd t3, t3, t4 wait s0-=1 sig s1+1
  st t2, t3 wait s1-=1
  halt
