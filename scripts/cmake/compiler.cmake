# Language level, warning set and sanitizers. Generated code is compiled with SKEIN_GENERATED_FLAGS.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # named extensions: typeof, __attribute__, statement expressions in base/
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(SKEIN_CCACHE ccache)
if(SKEIN_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${SKEIN_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SKEIN_CCACHE})
endif()

# Truncation by snprintf is how our texts are bounded: -Wno-format-truncation.
set(SKEIN_WARNINGS -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wswitch-enum -Wundef -Wno-format-truncation -Wno-unknown-warning-option -Werror)
# Our own sources cannot call what base/banned.h bans; generated ones and libraries' headers can.
list(APPEND SKEIN_WARNINGS -include${CMAKE_SOURCE_DIR}/base/banned.h)
set(SKEIN_GENERATED_FLAGS -w)
set(SKEIN_CXX_WARNINGS -Wall -Wextra -Wshadow -Wundef -Werror)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-fno-omit-frame-pointer -fno-strict-aliasing)
# Nothing here goes into a shared library: -fPIE spares the detours and the lost inlining of -fPIC.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -fPIE")
if(CMAKE_BUILD_TYPE STREQUAL Release)
  set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
  add_link_options(-pie)
endif()
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -DSKEIN_DEBUG=1")
set(CMAKE_CXX_FLAGS_RELEASE ${CMAKE_C_FLAGS_RELEASE})
set(CMAKE_CXX_FLAGS_DEBUG ${CMAKE_C_FLAGS_DEBUG})

if(SKEIN_SANITIZE)
  add_compile_options(-fsanitize=${SKEIN_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SKEIN_SANITIZE})
endif()
if(SKEIN_FAULTS)
  add_compile_definitions(SKEIN_FAULTS=1)
endif()
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/gen)
