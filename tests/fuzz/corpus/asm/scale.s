.kernel scale_rows
.arg x dva
.arg n u32
.l1 96K
.acc 1024
.group 4
.loc 1 "kernels/scale.cpp" 12
  arg r1, x  line 1
  argw r2, n
  tset t0, r1, r2, r3, r3, hbm.bf16.panel
  loop r4, r2
    bz r4, skip
    ld t1, t0 !trans wait s0-=1, s1>=2 sig s2+1  line 1
    mm t3, t1, t2 !acc !tb wait1 s2-=1
    vmul t1, t1, r5
skip:
    vfma t1, t1, col t2, row t3 sig s3+1@2
    accst t1, t3 !scale=r6 !bias=t4 !act=gelu_erf
    mask t1, t1, r7, r0, -inf !causal !length=r8
  end
again:
  vadd t1, t1, t2 r0=r9
  vfill t1, 0.1
  cmp r1, r2, r3, leu
  sreg r1, device_tiles
  semset r1, s63
  wait s0>=3
  sig s1+2
  bnz r1, again
  halt
