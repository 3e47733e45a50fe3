# SPDX-License-Identifier: Apache-2.0
# npu_options: what every target of ours links (PRIVATE). Warnings, hardening, the include root, the float contract.
find_package(Threads REQUIRED)

add_library(npu_options INTERFACE)
add_library(npu::options ALIAS npu_options)
target_include_directories(npu_options INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>")
target_link_libraries(npu_options INTERFACE Threads::Threads)

# A fused multiply-add happens where the source says fma() and nowhere else: results must not depend on the compiler.
target_compile_options(npu_options INTERFACE -Wall -Wextra -Wimplicit-fallthrough -ffp-contract=off
  "$<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>"
  "$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>")
# gcc 12 at -O3 reports overlaps in `"literal" + std::string` that cannot happen (GCC bug 105651).
target_compile_options(npu_options INTERFACE "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>")
# Without this gcc fills objects of more than some words with `rep stos` and `rep movs`, each of which takes longer to begin than the whole of it takes in vectors; a launch has a dozen of them.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(npu_options INTERFACE
    "$<$<CXX_COMPILER_ID:GNU>:-mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign;-mmemcpy-strategy=vector_loop:512:noalign,libcall:-1:noalign>")
endif()
if(NPU_WERROR)
  target_compile_options(npu_options INTERFACE -Werror)
endif()

if(NPU_HARDEN)
  target_compile_options(npu_options INTERFACE -fstack-protector-strong -fstack-clash-protection
    "$<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection>")
  target_link_options(npu_options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  if(NOT NPU_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(npu_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_definitions(npu_options INTERFACE _GLIBCXX_ASSERTIONS)
  endif()
endif()

# Sanitizers are set for the whole build, not through npu_options: one uninstrumented object hides the errors of its callers.
if(NPU_SANITIZE)
  if(NOT NPU_SANITIZE MATCHES "^(address|undefined|address,undefined|thread)$")
    message(FATAL_ERROR "NPU_SANITIZE='${NPU_SANITIZE}': use address, undefined, address,undefined or thread")
  endif()
  add_compile_options(-fsanitize=${NPU_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${NPU_SANITIZE})
  # gcc 12 sees imagined overflows in libstdc++ once it is instrumented; the plain build keeps these warnings as errors.
  target_compile_options(npu_options INTERFACE -Wno-maybe-uninitialized
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-array-bounds;-Wno-restrict>"
    "$<$<CXX_COMPILER_ID:Clang>:-Wno-unknown-warning-option>")
  if(NPU_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(npu_options INTERFACE -Wno-tsan)  # std::atomic_thread_fence
  endif()
endif()
