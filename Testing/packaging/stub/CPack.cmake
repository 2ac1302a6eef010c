# Slicer stops here when the extension misses what its package must have.
foreach(name EXTENSION_HOMEPAGE EXTENSION_CONTRIBUTORS EXTENSION_DESCRIPTION EXTENSION_ICONURL
    EXTENSION_SCREENSHOTURLS EXTENSION_DEPENDS)
  if("${${name}}" STREQUAL "")
    message(FATAL_ERROR "${name} is empty")
  endif()
  file(APPEND ${CMAKE_BINARY_DIR}/metadata.txt "${name}=${${name}}\n")
endforeach()
file(APPEND ${CMAKE_BINARY_DIR}/metadata.txt "project=${PROJECT_NAME}\n")
foreach(file README.md LICENSE)
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${file})
    message(FATAL_ERROR "The root needs ${file}")
  endif()
endforeach()
