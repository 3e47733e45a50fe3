; SPDX-License-Identifier: Apache-2.0
; Work-group g writes 1 + 2 + ... + (n + g) to out[g], and says so.
.kernel triangle
.arg out dva
.arg n i32
.l1 64
  arg r1, out
  args r2, n
  sreg r3, group_x
  sreg r4, grid_x
  add r2, r2, r3
  cmp r5, r0, r2, lt                ; r5 = 0 < n + g
  check "n + g = %d, there is nothing to add", r5, r2
  loop r6, r2
    addi r7, r6, 1
    add r8, r8, r7                  ; registers are 0 at the start
  end
  print "work-group %d of %d: 1 + ... + %d = %d", r3, r4, r2, r8
  muli r9, r3, 4
  add r1, r1, r9
  li r10, 1
  tset t0, r0, r10, r10, r10, l1.i32.row
  tset t1, r1, r10, r10, r10, hbm.i32.row
  iota t0, r8, r0, r0 sig s0+1
  st t1, t0 wait s0-=1
  halt
