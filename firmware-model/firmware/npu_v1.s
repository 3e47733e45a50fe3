; SPDX-License-Identifier: Apache-2.0
; The program of the control firmware image. A device model takes the image's identity and runs mailbox and scheduler
; as its own code, so there is nothing here for it to do; real control processors bring theirs.
.kernel idle
  halt
