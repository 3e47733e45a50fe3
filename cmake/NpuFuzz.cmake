# SPDX-License-Identifier: Apache-2.0
# npu_fuzz(): one fuzz target, i.e. a source file that defines LLVMFuzzerTestOneInput(const uint8_t*, size_t).
#
#   npu_fuzz(NAME fuzz_ring SOURCES fuzz_ring.cpp [LIBS npu_model ...] [CORPUS seeds/ring] [RUNS 20000])
#
# With clang it is a libFuzzer program. With any other compiler tests/fuzz/replay_main.cpp drives it: every file of the seed corpus,
# then RUNS seeded mutations of those files. Either way it is a ctest with the label 'fuzz', so a target can never rot.
function(npu_fuzz)
  cmake_parse_arguments(F "" "NAME;CORPUS;RUNS;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  if(F_UNPARSED_ARGUMENTS OR NOT F_NAME OR NOT F_SOURCES)
    message(FATAL_ERROR "npu_fuzz(${F_NAME}): needs NAME and SOURCES; not understood: '${F_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT NPU_BUILD_TESTS)
    return()
  endif()
  if(NOT F_RUNS)
    set(F_RUNS 20000)
  endif()
  if(NOT F_TIMEOUT)
    set(F_TIMEOUT 120)
  endif()
  npu_scaled_timeout(timeout ${F_TIMEOUT})
  if(F_CORPUS)
    get_filename_component(corpus "${F_CORPUS}" ABSOLUTE)
  endif()

  add_executable(${F_NAME} ${F_SOURCES})
  target_link_libraries(${F_NAME} PRIVATE npu_options ${F_LIBS})
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${F_NAME} PRIVATE -fsanitize=fuzzer)
    target_link_options(${F_NAME} PRIVATE -fsanitize=fuzzer)
    # libFuzzer writes what it finds into the first folder: that is never the source tree.
    set(found "${CMAKE_CURRENT_BINARY_DIR}/${F_NAME}.found")
    file(MAKE_DIRECTORY "${found}")
    add_test(NAME ${F_NAME} COMMAND ${F_NAME} -runs=${F_RUNS} -seed=1 -max_len=65536 -artifact_prefix=${found}/
             ${found} ${corpus})
  else()
    target_sources(${F_NAME} PRIVATE "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
    add_test(NAME ${F_NAME} COMMAND ${F_NAME} --runs ${F_RUNS} --crash-file "${CMAKE_CURRENT_BINARY_DIR}/${F_NAME}.crash"
             ${corpus})
  endif()
  set_tests_properties(${F_NAME} PROPERTIES TIMEOUT ${timeout} SKIP_RETURN_CODE 77 LABELS fuzz)
endfunction()
