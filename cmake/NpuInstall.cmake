# SPDX-License-Identifier: Apache-2.0
# npu_install_library(TARGET): installs a shared library of the SDK, with its place in the CMake package `npu` and a pkg-config file TARGET.pc.
# The headers of libnpu/include are installed once, with the first library.
#
# npu_finish_library(TARGET [REQUIRES pc-module] [DESCRIPTION text]): makes the shared library TARGET one of the SDK and installs it: alias, soname, the symbols of libTARGET.map and no others, beside
# libnpu.so in the build (both look for the device model and blobs relative to themselves).
include(CMakePackageConfigHelpers)

function(npu_finish_library target)
  set(map "${CMAKE_CURRENT_SOURCE_DIR}/lib${target}.map")
  add_library(npu::${target} ALIAS ${target})
  set_target_properties(${target} PROPERTIES VERSION 1.${PROJECT_VERSION} SOVERSION 1
    LINK_DEPENDS "${map}" LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/libnpu")
  target_include_directories(${target} INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/libnpu/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_compile_options(${target} PRIVATE -fno-rtti)
  target_link_options(${target} PRIVATE "-Wl,--version-script=${map}")
  # A loaded sanitizer run-time is not a dependency that can be checked at link time.
  if(NOT NPU_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,--no-undefined)
  endif()
  npu_install_library(${target} ${ARGN})
endfunction()

function(npu_install_library target)
  cmake_parse_arguments(I "" "REQUIRES;DESCRIPTION" "" ${ARGN})
  if(NOT I_DESCRIPTION)
    set(I_DESCRIPTION "C API of the NPU stack")
  endif()
  install(TARGETS ${target} EXPORT npuTargets
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sdk)
  set(NPU_PC_NAME "${target}")
  set(NPU_PC_DESCRIPTION "${I_DESCRIPTION}")
  set(NPU_PC_REQUIRES "${I_REQUIRES}")
  # A relative prefix, so that the tree may be moved.
  file(RELATIVE_PATH NPU_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/npu.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/${target}.pc" @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${target}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT sdk)

  get_property(done GLOBAL PROPERTY NPU_PACKAGE_INSTALLED)
  if(done)
    return()
  endif()
  set_property(GLOBAL PROPERTY NPU_PACKAGE_INSTALLED TRUE)
  set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/npu")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/libnpu/include/npu" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT sdk
    FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
  install(EXPORT npuTargets NAMESPACE npu:: DESTINATION "${package_dir}" COMPONENT sdk)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/npuConfig.cmake.in" "${PROJECT_BINARY_DIR}/npuConfig.cmake"
    INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/npuConfigVersion.cmake" VERSION "${PROJECT_VERSION}"
    COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/npuConfig.cmake" "${PROJECT_BINARY_DIR}/npuConfigVersion.cmake" "${PROJECT_SOURCE_DIR}/cmake/NpuKernels.cmake"
    DESTINATION "${package_dir}" COMPONENT sdk)
endfunction()
