#!/bin/bash
# modules.sh SOURCE KERNEL OUT - compiles OpenZFS's modules for a kernel.
#
#   SOURCE  a directory with linux-headers-KERNEL, its -common, linux-kbuild and
#           zfs-dkms unpacked in it
#   OUT     a directory, made here, for the .ko files
#
# Some seven minutes on two processors. zfs-dkms's own way (dkms) would install
# headers for, and build for, the kernel of the machine that this runs on.
set -euo pipefail
source_dir=$1 kernel=$2 out=$3
headers=$source_dir/usr/src/linux-headers-$kernel

# The headers find each other by absolute paths; here they are not installed.
sed -i "s|/usr/src/|$source_dir/usr/src/|" "$headers/Makefile"

cd "$source_dir"/usr/src/zfs-[0-9]*
./configure --quiet --with-config=kernel --with-linux-obj="$headers" \
	--with-linux="${headers%-cloud-amd64}-common" >configure.out
make --silent -j"$(nproc)" >make.out

mkdir -p "$out"
find . -name '*.ko' -exec cp -t "$out" {} +
strip --strip-debug "$out"/*.ko
