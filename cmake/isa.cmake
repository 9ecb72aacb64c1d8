# The translation units of the kernels: one for each family in kernels.def and each instruction set.
#
# Families are listed only in kernels.def, instruction sets below, one row each: an object library of all families with
# its own flags, announced to the kernel table by NNF_HAVE_<NAME>.
#
# nnfast_add_isa(<name> <flags for GCC and Clang> <flags for MSVC>)
set(NNFAST_ISAS "" CACHE STRING "Instruction sets to compile; empty: all of the processor's family")
set(NNFAST_ISA_OBJECTS "")
set(NNFAST_ISA_NAMES "")
set(NNFAST_ISA_MACROS "")

set(NNFAST_UNITS_DIR ${CMAKE_CURRENT_BINARY_DIR}/units)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS kernels/kernels.def)
file(STRINGS kernels/kernels.def NNFAST_FAMILIES REGEX "^#if NNF_FAMILY\\(")
list(TRANSFORM NNFAST_FAMILIES REPLACE "^#if NNF_FAMILY\\(([a-z0-9_]+)\\)$" "\\1")
list(TRANSFORM NNFAST_FAMILIES REPLACE "(.+)" " UNIT(\\1, isa)" OUTPUT_VARIABLE units)
list(JOIN units "" units)
file(CONFIGURE OUTPUT ${NNFAST_UNITS_DIR}/kernels/units.h CONTENT "#define NNF_UNITS(UNIT, isa)@units@\n" @ONLY)

function(nnfast_add_isa name gnu_flags msvc_flags)
  set(NNFAST_ISA_NAMES ${NNFAST_ISA_NAMES} ${name} PARENT_SCOPE)
  if(NNFAST_ISAS AND NOT name IN_LIST NNFAST_ISAS)
    return()
  endif()
  set(library nnfast_isa_${name})
  set(isa ${name})
  set(sources "")
  foreach(family IN LISTS NNFAST_FAMILIES)
    set(source ${NNFAST_UNITS_DIR}/unit_${family}_${isa}.cpp)
    configure_file(kernels/unit.cpp.in ${source} @ONLY)
    list(APPEND sources ${source})
  endforeach()
  add_library(${library} OBJECT ${sources})
  target_include_directories(${library} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  # Saves more than a second per unit. Not for NEON, whose header is small and which other compilers cross-compile.
  if(NOT name STREQUAL "neon")
    target_precompile_headers(${library} PRIVATE <immintrin.h>)
  endif()
  if(MSVC)
    target_compile_options(${library} PRIVATE /O2 /GR- ${msvc_flags})
  else()
    # In every build type: unoptimized kernels would be unusably slow. With sanitizers, -O3 takes minutes.
    if(NNFAST_SANITIZE)
      list(APPEND gnu_flags -O1)
    endif()
    # Nothing is thrown through kernels, so they need no tables for that, which are a twentieth of the library.
    target_compile_options(${library} PRIVATE -O3 -fno-exceptions -fno-asynchronous-unwind-tables -fno-rtti -fno-lto
      ${gnu_flags})
    # GCC 12 warns about its own AVX-512 header, which uses undefined registers on purpose (PR 105593).
    target_compile_options(${library} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-uninitialized>)
  endif()
  string(TOUPPER ${name} upper)
  set(NNFAST_ISA_OBJECTS ${NNFAST_ISA_OBJECTS} $<TARGET_OBJECTS:${library}> PARENT_SCOPE)
  set(NNFAST_ISA_MACROS ${NNFAST_ISA_MACROS} NNF_HAVE_${upper}=1 PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
  # For processors that are older than 2013: -O3 would make these units, and the wheel, larger.
  nnfast_add_isa(sse2 "-O2" "")
  nnfast_add_isa(avx2 "-mavx2;-mfma" "/arch:AVX2")
  nnfast_add_isa(avx512
    "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx2;-mfma;-mprefer-vector-width=512" "/arch:AVX512")
else()
  nnfast_add_isa(neon "" "")
endif()

foreach(name IN LISTS NNFAST_ISAS)
  if(NOT name IN_LIST NNFAST_ISA_NAMES)
    message(FATAL_ERROR "NNFAST_ISAS: expected names of ${NNFAST_ISA_NAMES}, got '${name}'")
  endif()
endforeach()
