# A CMake toolchain for Android on 64-bit Arm: that of an NDK in the folder PERIDOT_NDK, and the libraries
# that portable.sh has built. Android 9 is the first whose C library has all that is called.
# SPDX-License-Identifier: MIT
set(ANDROID_ABI arm64-v8a)
set(ANDROID_PLATFORM android-28)
include(${PERIDOT_NDK}/build/cmake/android.toolchain.cmake)
list(APPEND CMAKE_FIND_ROOT_PATH ${PERIDOT_PREFIX})
set(ENV{PKG_CONFIG_LIBDIR} ${PERIDOT_PREFIX}/lib/pkgconfig)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PERIDOT_PREFIX PERIDOT_NDK)
