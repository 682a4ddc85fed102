// Package golden makes a small disk image as VirtualBox would, without
// VirtualBox: something to show clonefs with.
package golden

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/google/uuid"

	"github.com/clonefs/clonefs/vdi"
)

const (
	// Capacity is the size of the disk in bytes.
	Capacity = blocks * blockSize

	blocks    = 64
	blockSize = 1 << 20
	// mapOffset and dataOffset are what VirtualBox 7 uses: it aligns both to
	// a mebibyte. The holes between cost nothing.
	mapOffset  = 1 << 20
	dataOffset = 2 << 20

	// freeBlock is a block map entry without a block (VDI_IMAGE_BLOCK_FREE).
	freeBlock  = 0xffffffff
	sectorSize = 512
)

// header is VDIPREHEADER and VDIHEADER1PLUS of VirtualBox's VDICore.h,
// little-endian.
type header struct {
	Text            [64]byte
	Signature       uint32
	Version         uint32
	Size            uint32 // of what follows Version
	Type            uint32
	Flags           uint32
	Comment         [256]byte
	MapOffset       uint32
	DataOffset      uint32
	LegacyGeometry  geometry
	_               uint32
	Capacity        uint64
	BlockSize       uint32
	BlockExtra      uint32
	Blocks          uint32
	AllocatedBlocks uint32
	Create          vdi.UUID
	Modify          vdi.UUID
	Linkage         vdi.UUID
	ParentModify    vdi.UUID
	Geometry        geometry
}

// geometry is VDIDISKGEOMETRY. Zero cylinders leave the choice to the BIOS.
type geometry struct{ Cylinders, Heads, Sectors, SectorSize uint32 }

func newHeader(create, modify vdi.UUID) header {
	h := header{
		Signature: vdi.Signature, Version: 0x00010001, Size: 400, Type: uint32(vdi.Dynamic),
		MapOffset: mapOffset, DataOffset: dataOffset,
		Capacity: Capacity, BlockSize: blockSize, Blocks: blocks, AllocatedBlocks: 1,
		LegacyGeometry: geometry{SectorSize: sectorSize}, Geometry: geometry{SectorSize: sectorSize},
		Create: create, Modify: modify,
	}
	copy(h.Text[:], "<<< clonefs demo: a VirtualBox disk image >>>\n")
	return h
}

// Write makes a dynamic image with a new UUID at path, where there must be
// nothing yet. Its disk begins with content, which must fit in a block.
func Write(path, content string) error {
	create, err := vdi.ParseUUID(uuid.NewString())
	modify, modifyErr := vdi.ParseUUID(uuid.NewString())
	if err := errors.Join(err, modifyErr); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(file, newHeader(create, modify), content), file.Close()); err != nil {
		return fmt.Errorf("write image %s: %w", path, err)
	}
	return nil
}

func write(file *os.File, h header, content string) error {
	var head bytes.Buffer
	if err := binary.Write(&head, binary.LittleEndian, h); err != nil {
		return err
	}
	for _, part := range []struct {
		bytes  []byte
		offset int64
	}{{head.Bytes(), 0}, {blockMap(), mapOffset}, {[]byte(content), dataOffset}} {
		if _, err := file.WriteAt(part.bytes, part.offset); err != nil {
			return err
		}
	}
	return file.Truncate(dataOffset + blockSize)
}

// blockMap says that the disk's first block is the file's first, and that there
// are no others.
func blockMap() []byte {
	entries := make([]uint32, blocks)
	for i := range entries {
		entries[i] = freeBlock
	}
	entries[0] = 0
	encoded, _ := binary.Append(nil, binary.LittleEndian, entries) // cannot fail for integers
	return encoded
}
