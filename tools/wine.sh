#!/bin/sh
# Runs a program for Windows: CMake's emulator of tools/windows.cmake.  SPDX-License-Identifier: MIT
export WINEDEBUG=${WINEDEBUG--all}
exec wine "$@"
