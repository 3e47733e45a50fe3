; SPDX-License-Identifier: Apache-2.0
; y = x + x, 256 numbers.
.kernel twice
.arg x dva
.arg y dva
.l1 1K
  arg r1, x
  arg r2, y
  li r3, 1
  li r4, 256
  tset t0, r1, r3, r4, r4, hbm.f32.row
  tset t1, r2, r3, r4, r4, hbm.f32.row
  tset t2, r0, r3, r4, r4, l1.f32.row
  ld t2, t0 sig s0+1                ; faults here when x is no address
  vadd t2, t2, t2 wait s0-=1 sig s1+1
  st t1, t2 wait s1-=1
  halt
