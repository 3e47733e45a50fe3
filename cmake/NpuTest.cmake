# SPDX-License-Identifier: Apache-2.0
# npu_test(): one test program, registered with ctest. Every test has a timeout; exit code 77 means "skipped, reason on stderr".
#
#   npu_test(NAME queue_test            target; ctest names are queue_test.<Suite>.<Test>, or queue_test for PLAIN
#            SOURCES queue_test.cpp
#            [LIBS npu_model ...]       linked in addition to npu_options and GoogleTest
#            [LABELS unit device]       ctest -L; 'unit' when left out
#            [TIMEOUT 60]               seconds for one ctest entry; three times that under a sanitizer
#            [ENV KEY=VALUE ...]
#            [ARGS ...]                 arguments of the program
#            [PLAIN])                   own main(), one ctest entry, no GoogleTest
if(NPU_BUILD_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  include(GoogleTest)
endif()

# Timeout in seconds for this kind of build. The factor covers the cost of instrumentation, not of a slow machine.
function(npu_scaled_timeout out seconds)
  if(NPU_SANITIZE)
    math(EXPR seconds "${seconds} * 3")
  endif()
  set(${out} ${seconds} PARENT_SCOPE)
endfunction()

function(npu_test)
  cmake_parse_arguments(T "PLAIN" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;ENV;ARGS" ${ARGN})
  if(T_UNPARSED_ARGUMENTS OR NOT T_NAME OR NOT T_SOURCES)
    message(FATAL_ERROR "npu_test(${T_NAME}): needs NAME and SOURCES; not understood: '${T_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT NPU_BUILD_TESTS)
    return()
  endif()
  if(NOT T_LABELS)
    set(T_LABELS unit)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 60)
  endif()
  npu_scaled_timeout(timeout ${T_TIMEOUT})

  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE npu_options ${T_LIBS})
  if(T_PLAIN)
    add_test(NAME ${T_NAME} COMMAND ${T_NAME} ${T_ARGS})
    set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${timeout} SKIP_RETURN_CODE 77 LABELS "${T_LABELS}"
                         ENVIRONMENT "${T_ENV}")
    return()
  endif()
  target_link_libraries(${T_NAME} PRIVATE GTest::gtest GTest::gtest_main)
  gtest_discover_tests(${T_NAME} TEST_PREFIX "${T_NAME}." EXTRA_ARGS ${T_ARGS} TEST_LIST ${T_NAME}_TESTS
    DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60)
  # gtest_discover_tests() flattens properties whose value is a list, so they are set by a file that ctest reads after its own.
  set(properties_file "${CMAKE_CURRENT_BINARY_DIR}/${T_NAME}_properties.cmake")
  file(CONFIGURE OUTPUT "${properties_file}" @ONLY CONTENT [[
if(@T_NAME@_TESTS)
  set_tests_properties(${@T_NAME@_TESTS} PROPERTIES TIMEOUT @timeout@ SKIP_RETURN_CODE 77
    LABELS "@T_LABELS@" ENVIRONMENT "@T_ENV@")
endif()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${properties_file}")
endfunction()
