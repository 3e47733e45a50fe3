# SPDX-License-Identifier: Apache-2.0
# Optimisation across files. A launch that does nothing is a hundred nanoseconds of calls from file to file of the device model; nothing else is worth the time
# that this takes. Objects are fat: whoever links them without it (tests, fuzzers) gets ordinary code. lld does not know gcc's format, hence GNU ld where it is used.
set(npu_lto_on FALSE)
if(NPU_LTO AND CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT NPU_SANITIZE)
  find_program(NPU_BFD_PROGRAM ld.bfd)
  mark_as_advanced(NPU_BFD_PROGRAM)
  if(NPU_BFD_PROGRAM)
    set(npu_lto_on TRUE)
  endif()
endif()

# The static library |target| can be optimised where it is linked.
function(npu_lto_objects target)
  if(npu_lto_on)
    target_compile_options(${target} PRIVATE -flto=auto -ffat-lto-objects)
  endif()
endfunction()

# The program or shared library |target| is.
function(npu_lto_link target)
  if(npu_lto_on)
    target_link_options(${target} PRIVATE -O3 -flto=auto -fuse-ld=bfd)
  endif()
endfunction()
