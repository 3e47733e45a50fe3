.kernel a
.insn 0x00000001 0 0 0 0 0 0 0
x: y: br +0 ; for ever
.kernel b
.args 64
.arg m f32 4
 args r31, 60
 li r1, -2147483648
 lih r1, 0xffffffff
 loop r1, r2, +1
 end -1
 assert r1, 7
 smstep t0, t1, t2, t3 !scale=r1 wait s63>=65535
 rope t0, t1, t2, t3 !half
 iota t63, r1, r2, r3
 trap 3
