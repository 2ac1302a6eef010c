# The macros of Slicer and CTK that a scripted extension calls, as far as files go. Like the genuine ones they copy every
# listed file to the flat folder of the modules in the build tree and install that folder, so that of two files with one
# relative path one silently wins. Besides, every file is written down: <target>|<script or resource>|<source>|<path>.
set(STUB_RECORD ${CMAKE_BINARY_DIR}/listed.txt)
file(WRITE ${STUB_RECORD} "")

function(stub_install target kind source_folder destination)
  foreach(file IN LISTS ARGN)
    if(IS_ABSOLUTE ${file} OR file MATCHES "\\.\\.")
      message(FATAL_ERROR "${target} lists ${file}, but only a path below ${source_folder} keeps its place")
    endif()
    if(NOT EXISTS ${source_folder}/${file} OR IS_DIRECTORY ${source_folder}/${file})
      message(FATAL_ERROR "${target} lists ${file}, which is no file of ${source_folder}")
    endif()
    configure_file(${source_folder}/${file} ${destination}/${file} COPYONLY)
    file(APPEND ${STUB_RECORD} "${target}|${kind}|${source_folder}/${file}|${file}\n")
  endforeach()
endfunction()

function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(STUB "NO_INSTALL_SUBDIR;GLOBAL_TARGET" "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR"
    "SCRIPTS;RESOURCES" ${ARGN})
  if(STUB_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ctkMacroCompilePythonScript does not know ${STUB_UNPARSED_ARGUMENTS}")
  endif()
  foreach(name TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if("${STUB_${name}}" STREQUAL "")
      message(FATAL_ERROR "ctkMacroCompilePythonScript needs ${name}")
    endif()
  endforeach()
  if(NOT STUB_SOURCE_DIR)
    set(STUB_SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  get_filename_component(source_folder ${STUB_SOURCE_DIR} REALPATH)
  stub_install(${STUB_TARGET_NAME} script ${source_folder} ${STUB_DESTINATION_DIR} ${STUB_SCRIPTS})
  stub_install(${STUB_TARGET_NAME} resource ${source_folder} ${STUB_DESTINATION_DIR} ${STUB_RESOURCES})
  set(installed ${STUB_DESTINATION_DIR})
  if(STUB_NO_INSTALL_SUBDIR)
    set(installed ${STUB_DESTINATION_DIR}/)
  endif()
  install(DIRECTORY ${installed} DESTINATION ${STUB_INSTALL_DIR} COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)
endfunction()

function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(STUB "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(STUB_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule does not know ${STUB_UNPARSED_ARGUMENTS}")
  endif()
  if("${STUB_NAME}" STREQUAL "")
    message(FATAL_ERROR "slicerMacroBuildScriptedModule needs NAME")
  endif()
  ctkMacroCompilePythonScript(
    TARGET_NAME ${STUB_NAME}
    SCRIPTS "${STUB_SCRIPTS}"
    RESOURCES "${STUB_RESOURCES}"
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    NO_INSTALL_SUBDIR
    )
endfunction()

# Tests need Slicer itself; here only the file that they name is looked for.
function(slicer_add_python_unittest)
  cmake_parse_arguments(STUB "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(STUB_UNPARSED_ARGUMENTS OR NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${STUB_SCRIPT})
    message(FATAL_ERROR "slicer_add_python_unittest cannot run ${STUB_SCRIPT} ${STUB_UNPARSED_ARGUMENTS}")
  endif()
endfunction()
