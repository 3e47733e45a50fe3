# SPDX-License-Identifier: Apache-2.0
# Build type and helper programs. Everything optional is used when present and silently done without when not.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, RelWithDebInfo or Release" FORCE)
endif()
# asserts stay on in RelWithDebInfo: it is the build that the tests run.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")

if(NPU_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(NPU_CCACHE_PROGRAM ccache)
  mark_as_advanced(NPU_CCACHE_PROGRAM)
  if(NPU_CCACHE_PROGRAM)
    set(CMAKE_C_COMPILER_LAUNCHER "${NPU_CCACHE_PROGRAM}")
    set(CMAKE_CXX_COMPILER_LAUNCHER "${NPU_CCACHE_PROGRAM}")
  endif()
endif()

if(NPU_LLD)
  find_program(NPU_LLD_PROGRAM ld.lld)
  mark_as_advanced(NPU_LLD_PROGRAM)
  if(NPU_LLD_PROGRAM)
    add_link_options(-fuse-ld=lld)
  endif()
endif()

if(NPU_CLANG_TIDY)
  find_program(NPU_CLANG_TIDY_PROGRAM clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY "${NPU_CLANG_TIDY_PROGRAM};--quiet")
endif()
