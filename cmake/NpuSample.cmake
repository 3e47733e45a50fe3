# SPDX-License-Identifier: Apache-2.0
# npu_sample(): a sample of one source file, run by ctest in the process and on a daemon of its own.
#
#   npu_sample(gemm SOURCE gemm.c LIBS npuops npu [DEPENDS npu_ops_blob])    target sample_gemm, program gemm
#   npu_kernel_sample(vector_add)    the same for vector_add.c with a kernel of its own in vector_add.s, assembled and signed with the key of this build tree;
#                                    the program finds the blob at VECTOR_ADD_BLOB
#
# Nothing happens while one of LIBS does not exist. The libraries come first on the loader's path of the build tree.

# Goes before the command of a test: a runtime folder, and so a daemon, of its own.
set(NPU_RUN_ALONE "${PROJECT_SOURCE_DIR}/cmake/run_alone.sh")

function(npu_sample name)
  cmake_parse_arguments(S "" "SOURCE" "LIBS;DEPENDS" ${ARGN})
  foreach(lib IN LISTS S_LIBS)
    if(NOT TARGET ${lib})
      return()
    endif()
  endforeach()
  set(target sample_${name})
  add_executable(${target} ${S_SOURCE})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name})
  target_link_libraries(${target} PRIVATE npu_options ${S_LIBS} m)
  foreach(needed IN ITEMS npu_model npu-modeld ${S_DEPENDS})
    if(TARGET ${needed})
      add_dependencies(${target} ${needed})
    endif()
  endforeach()
  if(NOT NPU_BUILD_TESTS)
    return()
  endif()
  npu_scaled_timeout(timeout 60)
  foreach(road inproc model)
    add_test(NAME sample.${name}.${road} COMMAND ${NPU_RUN_ALONE} $<TARGET_FILE:${target}>)
    set_tests_properties(sample.${name}.${road} PROPERTIES TIMEOUT ${timeout} SKIP_RETURN_CODE 77 LABELS sample
      ENVIRONMENT "NPU_DEVICE=${road}:tiny;NPU_MODEL_IDLE_S=2")
  endforeach()
endfunction()

function(npu_kernel_sample name)
  if(NOT TARGET npu_build_key)  # the device model is not part of this build
    return()
  endif()
  set(blob "${CMAKE_CURRENT_BINARY_DIR}/${name}.nfw")
  add_custom_command(OUTPUT "${blob}"
    COMMAND npu-as -g "${CMAKE_CURRENT_SOURCE_DIR}/${name}.s" -o "${blob}.elf"
    COMMAND npu-fw sign "${blob}.elf" -k "${NPU_KEYS_DIR}/build.key" -o "${blob}"
    DEPENDS ${name}.s npu-as npu-fw "${NPU_KEYS_DIR}/build.key" npu_build_key
    COMMENT "Signing ${name}.nfw" VERBATIM)
  add_custom_target(${name}_blob ALL DEPENDS "${blob}")
  npu_sample(${name} SOURCE ${name}.c LIBS npu DEPENDS ${name}_blob)
  if(TARGET sample_${name})
    string(TOUPPER ${name} macro)
    target_compile_definitions(sample_${name} PRIVATE ${macro}_BLOB="${blob}")
  endif()
endfunction()
