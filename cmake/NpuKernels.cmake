# SPDX-License-Identifier: Apache-2.0
# npu_add_blob(): kernels of a user to a signed blob. Part of the installed CMake package `npu`; the project's own samples use it too.
#
#   find_package(npu 0.2 REQUIRED)
#   npu_add_blob(my_blob                   target, part of ALL
#     SOURCES scale.s norms.cpp            text for npu-as (*.s), and C++ that defines npu_kernels() (npu_kernel.h)
#     KEY "$ENV{HOME}/keys/me.key"         made once by: npu-fw keygen me
#     [OUTPUT my.nfw]                      default: <target>.nfw; relative to the binary folder
#     [COUNTER 7]                          security counter, default 0
#     [DEPENDS target ...])                what makes KEY, where the build does
#
# The target property NPU_BLOB_FILE holds the path of the blob.

# Refuses what cannot work, with what to do about it.
function(npu_check_blob target)
  cmake_parse_arguments(PARSE_ARGV 1 B "" "KEY;OUTPUT;COUNTER" "SOURCES;DEPENDS")
  if(B_UNPARSED_ARGUMENTS OR NOT B_SOURCES OR NOT B_KEY)
    message(FATAL_ERROR "npu_add_blob(${target}): needs SOURCES and KEY; not understood: '${B_UNPARSED_ARGUMENTS}'")
  endif()
  cmake_path(ABSOLUTE_PATH B_KEY BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  if(NOT B_DEPENDS AND NOT EXISTS "${B_KEY}")
    cmake_path(REMOVE_EXTENSION B_KEY OUTPUT_VARIABLE prefix)
    message(FATAL_ERROR "npu_add_blob(${target}): there is no secret key '${B_KEY}'. Make one with 'npu-fw keygen ${prefix}', "
      "and let your device model accept it with 'npu-fw enrol ${prefix}.pub'.")
  endif()
  foreach(source IN LISTS B_SOURCES)
    cmake_path(GET source EXTENSION LAST_ONLY ending)
    if(NOT ending MATCHES "^\\.(s|cpp|cc|cxx)$")
      message(FATAL_ERROR "npu_add_blob(${target}): '${source}' is neither text for npu-as (.s) nor C++ (.cpp, .cc, .cxx)")
    endif()
    if(NOT ending STREQUAL ".s" AND NOT CMAKE_CXX_COMPILER)
      message(FATAL_ERROR "npu_add_blob(${target}): '${source}' is C++; add CXX to the languages of project()")
    endif()
  endforeach()
endfunction()

function(npu_add_blob target)
  npu_check_blob(${ARGV})
  cmake_parse_arguments(PARSE_ARGV 1 B "" "KEY;OUTPUT;COUNTER" "SOURCES;DEPENDS")
  if(NOT B_OUTPUT)
    set(B_OUTPUT "${target}.nfw")
  endif()
  if(NOT B_COUNTER)
    set(B_COUNTER 0)
  endif()
  cmake_path(ABSOLUTE_PATH B_OUTPUT BASE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  cmake_path(ABSOLUTE_PATH B_KEY BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  set(texts "${B_SOURCES}")
  set(cpp "${B_SOURCES}")
  list(FILTER texts INCLUDE REGEX "\\.s$")
  list(FILTER cpp EXCLUDE REGEX "\\.s$")

  set(commands)
  set(parts)
  set(needed ${texts})
  foreach(text IN LISTS texts)
    string(MAKE_C_IDENTIFIER "${text}" name)
    set(part "${CMAKE_CURRENT_BINARY_DIR}/${target}.${name}.elf")
    list(APPEND parts "${part}")
    list(APPEND commands COMMAND npu::npu-as -g "${text}" -o "${part}")
  endforeach()
  if(cpp)
    # Headers too go into the line table without the place of the tree.
    add_executable(${target}_writer ${cpp})
    target_link_libraries(${target}_writer PRIVATE npu::isa_main)
    target_compile_options(${target}_writer PRIVATE "-fmacro-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}/=")
    set(part "${CMAKE_CURRENT_BINARY_DIR}/${target}.cpp.elf")
    list(APPEND parts "${part}")
    list(APPEND needed ${target}_writer)
    list(APPEND commands COMMAND ${target}_writer "${part}" ${cpp})
  endif()
  set(program "${B_OUTPUT}.elf")
  add_custom_command(OUTPUT "${B_OUTPUT}" ${commands}
    COMMAND npu::npu-fw pack ${parts} -o "${program}"
    COMMAND npu::npu-fw sign "${program}" -k "${B_KEY}" --counter ${B_COUNTER} -o "${B_OUTPUT}"
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" DEPENDS ${needed} "${B_KEY}" ${B_DEPENDS} npu::npu-as npu::npu-fw
    COMMENT "Signing ${B_OUTPUT}" VERBATIM)
  add_custom_target(${target} ALL DEPENDS "${B_OUTPUT}")
  if(B_DEPENDS)
    add_dependencies(${target} ${B_DEPENDS})
  endif()
  set_target_properties(${target} PROPERTIES NPU_BLOB_FILE "${B_OUTPUT}")
endfunction()
