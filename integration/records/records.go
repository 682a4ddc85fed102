//go:build linux

// Package records writes to images what can be checked after a crash: records, each
// made durable before the next is written, and between them the header, as
// VirtualBox writes it back.
package records

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"

	"github.com/clonefs/clonefs/vdi"
)

const (
	// Start is where the first record is.
	Start = 4096
	// ModifyOffset is where a header of version 1 has uuidModify.
	ModifyOffset = 408

	size         = 512 // of a record
	headersEvery = 4   // records
)

// A Writer writes records to an image. What they are follows from its name and salt.
type Writer struct {
	Name string
	Salt uint64
	// Sync is the flag of open(2) that makes every write durable, or 0 where the
	// writer calls fsync(2).
	Sync int
}

// SyncFlags are the values of a Writer's Sync.
var SyncFlags = []int{0, unix.O_SYNC, unix.O_DSYNC}

// Write writes to an image of version 1, which has been opened with w.Sync, until
// there is an error or acknowledge, which is told how many records are durable,
// returns false. That is no error.
func (w Writer) Write(file *os.File, acknowledge func(records int64) (goOn bool)) error {
	for i, goOn := int64(0), true; goOn; i++ {
		if _, err := file.WriteAt(w.record(i), Start+i*size); err != nil {
			return err
		}
		if i%headersEvery == 0 {
			if err := WriteBackHeader(file, byte(i)); err != nil {
				return err
			}
		}
		if w.Sync == 0 {
			if err := file.Sync(); err != nil {
				return err
			}
		}
		goOn = acknowledge(i + 1)
	}
	return nil
}

// WriteBackHeader does what VirtualBox does when it closes an image: it writes
// what it has read, with another modification UUID, here 16 times the same byte.
func WriteBackHeader(file *os.File, modification byte) error {
	header := make([]byte, vdi.HeaderSize)
	if _, err := file.ReadAt(header, 0); err != nil {
		return err
	}
	copy(header[ModifyOffset:], bytes.Repeat([]byte{modification}, 16))
	_, err := file.WriteAt(header[72:472], 72)
	return err
}

// record is a record: random-looking, with a checksum.
func (w Writer) record(i int64) []byte {
	var record []byte
	for block := uint64(0); len(record) < size; block++ {
		seed := []byte(w.Name)
		for _, n := range []uint64{w.Salt, uint64(i), block} {
			seed = binary.LittleEndian.AppendUint64(seed, n)
		}
		sum := sha256.Sum256(seed)
		record = append(record, sum[:]...)
	}
	return record
}

// Intact returns how many records, from the first one on, an image has as they were
// written.
func (w Writer) Intact(image []byte) int64 {
	for i := int64(0); ; i++ {
		at := Start + i*size
		if at+size > int64(len(image)) || !bytes.Equal(w.record(i), image[at:at+size]) {
			return i
		}
	}
}

// Modification returns the byte that WriteBackHeader has written last, and whether
// the header is whole: without another's bytes in that UUID.
func Modification(image []byte) (modification byte, whole bool) {
	field := image[ModifyOffset : ModifyOffset+16]
	return field[0], bytes.Equal(field, bytes.Repeat(field[:1], 16))
}

// Modifications returns what Modification may be when so many records have been
// acknowledged, and of what was written after them nothing, or a part.
func Modifications(acknowledged int64) []byte {
	last := (acknowledged - 1) / headersEvery * headersEvery
	return []byte{byte(last), byte(last + headersEvery)}
}
