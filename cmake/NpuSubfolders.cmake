# SPDX-License-Identifier: Apache-2.0
# npu_add_subfolders([names...]): adds the named subfolders that exist, in that order, then every other subfolder that has a
# CMakeLists.txt, in alphabetical order. A new sample or tool is a new folder; no list needs an edit.
# npu_add_folders(names...): only the named ones. Both skip a folder that is part of the build already.

# Source folders below |dir| that are part of the build so far.
function(npu_known_folders out dir)
  get_property(known DIRECTORY "${dir}" PROPERTY SUBDIRECTORIES)
  foreach(sub IN LISTS known)
    npu_known_folders(below "${sub}")
    list(APPEND known ${below})
  endforeach()
  set(${out} "${known}" PARENT_SCOPE)
endfunction()

function(npu_add_folders)
  foreach(folder IN LISTS ARGN)
    set(path "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    npu_known_folders(known "${PROJECT_SOURCE_DIR}")
    if(EXISTS "${path}/CMakeLists.txt" AND NOT "${path}" IN_LIST known)
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()

function(npu_add_subfolders)
  file(GLOB found CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt")
  list(TRANSFORM found REPLACE "/CMakeLists.txt$" "")
  npu_add_folders(${ARGN} ${found})
endfunction()
