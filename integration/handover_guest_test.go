//go:build linux

package integration

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A virtual machine whose disk lies on the mount, opened as hypervisors do (O_DIRECT,
// Linux AIO), writes and reads and sees no error and no wrong byte.
func TestAVirtualMachineRunsOnWhenItsDisksMountIsTakenOver(t *testing.T) {
	requireTool(t, "qemu-system-x86_64", "qemu-img")
	mount, at := mountForHandover(t, "vm")
	s := at("vm")
	s.makeGuestDisk("disk.vdi")
	before := uuidOf(t, s.path("disk.vdi"))
	stored := uuidOf(t, s.stored("disk.vdi"))
	g := s.startGuest("disk.vdi")
	for range handovers() {
		g.goOn(t)
		mount.Replace(t)
	}
	g.goOn(t)
	rounds := g.halt(t)
	s.requireGuestWrote("disk.vdi", uint32(rounds))
	require.Equal(t, before, uuidOf(t, s.path("disk.vdi")))
	require.Equal(t, stored, uuidOf(t, s.stored("disk.vdi")))
	require.NotEqual(t, before, stored)
}

const (
	sectorSize   = 512
	chunkSectors = 64 // that the guest writes at once
	chunks       = 8
)

// guestProgram is a boot sector. Round for round it fills chunks of the disk it has come
// from, all but the first, with numbers that follow from the round and the place, by
// the BIOS (int 13h), reads them again and compares. After each round it says "." on
// the serial port; when something fails it says "E" and stops.
var guestProgram = bytes.Join([][]byte{
	{0x31, 0xc0},                   // 7c00        xor ax, ax
	{0x8e, 0xd8},                   // 7c02        mov ds, ax
	{0x8e, 0xd0},                   // 7c04        mov ss, ax
	{0xbc, 0x00, 0x7c},             // 7c06        mov sp, 7c00h
	{0xfc},                         // 7c09        cld
	{0x88, 0x16, 0xcc, 0x7c},       // 7c0a        mov [drive], dl
	{0x68, 0x00, 0x10},             // 7c0e        push 1000h
	{0x07},                         // 7c11        pop es
	{0x66, 0xff, 0x06, 0xc8, 0x7c}, // 7c12 round: inc dword [number]
	{0xb4, 0x43},                   // 7c17        mov ah, 43h           ; write
	{0xe8, 0x0c, 0x00},             // 7c19        call pass
	{0xb4, 0x42},                   // 7c1c        mov ah, 42h           ; read
	{0xe8, 0x07, 0x00},             // 7c1e        call pass
	{0xb0, '.'},                    // 7c21        mov al, '.'
	{0xe8, 0x81, 0x00},             // 7c23        call say
	{0xeb, 0xea},                   // 7c26        jmp round
	{0x88, 0x26, 0xcd, 0x7c},       // 7c28 pass:  mov [function], ah
	{0x66, 0xc7, 0x06, 0xc0, 0x7c, chunkSectors, 0, 0, 0}, // 7c2c mov dword [sector], 64
	{0x80, 0x3e, 0xcd, 0x7c, 0x42},                        // 7c35 chunk: cmp byte [function], 42h
	{0x75, 0x03},                                          // 7c3a        jne fill
	{0xe8, 0x4e, 0x00},                                    // 7c3c        call transfer
	{0x31, 0xff},                                          // 7c3f fill:  xor di, di
	{0x66, 0x69, 0x06, 0xc8, 0x7c, 0xb1, 0x79, 0x37, 0x9e}, // 7c41        imul eax, [number], 9e3779b1h
	{0x66, 0x03, 0x06, 0xc0, 0x7c},                         // 7c4a        add eax, [sector]
	{0x80, 0x3e, 0xcd, 0x7c, 0x42},                         // 7c4f each:  cmp byte [function], 42h
	{0x75, 0x06},                                           // 7c54        jne store
	{0x26, 0x66, 0x39, 0x05},                               // 7c56        cmp es:[di], eax
	{0x75, 0x43},                                           // 7c5a        jne fail
	{0x66, 0xab},                                           // 7c5c store: stosd
	{0x66, 0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00},             // 7c5e        imul eax, eax, 1664525
	{0x66, 0x05, 0x5f, 0xf3, 0x6e, 0x3c},                   // 7c65        add eax, 1013904223
	{0x81, 0xff, 0x00, 0x80},                               // 7c6b        cmp di, 8000h         ; 64 sectors
	{0x75, 0xde},                                           // 7c6f        jne each
	{0x80, 0x3e, 0xcd, 0x7c, 0x43},                         // 7c71        cmp byte [function], 43h
	{0x75, 0x03},                                           // 7c76        jne next
	{0xe8, 0x12, 0x00},                                     // 7c78        call transfer
	{0x66, 0x83, 0x06, 0xc0, 0x7c, chunkSectors},           // 7c7b next:  add dword [sector], 64
	{0x66, 0x81, 0x3e, 0xc0, 0x7c, 0x40, 0x02, 0, 0},       // 7c81        cmp dword [sector], 9*64
	{0x75, 0xa9},                                           // 7c8a        jne chunk
	{0xc3},                                                 // 7c8c        ret
	{0xbe, 0xb8, 0x7c},                                     // 7c8d transfer: mov si, packet
	{0x8a, 0x16, 0xcc, 0x7c},                               // 7c90        mov dl, [drive]
	{0x8a, 0x26, 0xcd, 0x7c},                               // 7c94        mov ah, [function]
	{0xb0, 0x00},                                           // 7c98        mov al, 0
	{0xcd, 0x13},                                           // 7c9a        int 13h
	{0x72, 0x01},                                           // 7c9c        jc fail
	{0xc3},                                                 // 7c9e        ret
	{0xb0, 'E'},                                            // 7c9f fail:  mov al, 'E'
	{0xe8, 0x03, 0x00},                                     // 7ca1        call say
	{0xf4},                                                 // 7ca4 stop:  hlt
	{0xeb, 0xfd},                                           // 7ca5        jmp stop
	{0x88, 0xc4},                                           // 7ca7 say:   mov ah, al
	{0xba, 0xfd, 0x03},                                     // 7ca9        mov dx, 3fdh          ; COM1
	{0xec},                                                 // 7cac full:  in al, dx
	{0xa8, 0x20},                                           // 7cad        test al, 20h
	{0x74, 0xfb},                                           // 7caf        jz full
	{0xba, 0xf8, 0x03},                                     // 7cb1        mov dx, 3f8h
	{0x88, 0xe0},                                           // 7cb4        mov al, ah
	{0xee},                                                 // 7cb6        out dx, al
	{0xc3},                                                 // 7cb7        ret
	{0x10, 0x00, chunkSectors, 0x00, 0x00, 0x00, 0x00, 0x10}, // 7cb8 packet: 64 sectors at 1000h:0
	make([]byte, 8), // 7cc0 sector
	make([]byte, 4), // 7cc8 number
	make([]byte, 2), // 7ccc drive, function
}, nil)

// chunk is what the guest writes to a place in a round.
func chunk(round, sector uint32) []byte {
	var b []byte
	value := round*0x9e3779b1 + sector
	for len(b) < chunkSectors*sectorSize {
		b = binary.LittleEndian.AppendUint32(b, value)
		value = value*1664525 + 1013904223
	}
	return b
}

// makeGuestDisk makes a VDI image that a machine boots from.
func (s *site) makeGuestDisk(name string) {
	s.t.Helper()
	disk := make([]byte, 4<<20) // a BIOS takes no disk of less than a cylinder
	copy(disk, guestProgram)
	copy(disk[sectorSize-2:], "\x55\xaa")
	raw := filepath.Join(s.t.TempDir(), "disk.raw")
	require.NoError(s.t, os.WriteFile(raw, disk, 0o600))
	out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "vdi", raw, s.stored(name)).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
}

// A guest is a virtual machine that runs guestProgram.
type guest struct {
	cmd    *exec.Cmd
	errors strings.Builder // of qemu; to be read when it has ended
	rounds atomic.Int64
	failed atomic.Bool
}

func (s *site) startGuest(disk string) *guest {
	s.t.Helper()
	g := &guest{cmd: exec.Command("qemu-system-x86_64", "-accel", "tcg", "-m", "16", "-nodefaults", "-display", "none",
		"-monitor", "none", "-serial", "stdio", "-drive", "file="+s.path(disk)+",format=vdi,if=virtio,cache=none,aio=native")}
	g.cmd.Stdout, g.cmd.Stderr = g, &g.errors
	require.NoError(s.t, g.cmd.Start())
	s.t.Cleanup(func() {
		if g.cmd.ProcessState == nil {
			_ = g.cmd.Process.Kill()
			_ = g.cmd.Wait()
		}
	})
	return g
}

// Write is given what comes out of the serial port.
func (g *guest) Write(said []byte) (int, error) {
	g.rounds.Add(int64(bytes.Count(said, []byte("."))))
	if bytes.Contains(said, []byte("E")) {
		g.failed.Store(true)
	}
	return len(said), nil
}

// goOn waits until the guest has written and read all another time, from the beginning.
func (g *guest) goOn(t *testing.T) {
	t.Helper()
	want := g.rounds.Load() + 2
	(&cli{t: t}).eventually("the guest goes on", func() bool { return g.failed.Load() || g.rounds.Load() >= want })
	require.False(t, g.failed.Load(), "the guest has read something else than it wrote, or was told of an error")
}

// halt ends the machine and returns how many rounds it has said that it made.
func (g *guest) halt(t *testing.T) int64 {
	t.Helper()
	require.NoError(t, g.cmd.Process.Signal(unix.SIGTERM))
	err := g.cmd.Wait()
	require.NoError(t, err, g.errors.String())
	require.False(t, g.failed.Load())
	return g.rounds.Load()
}

// requireGuestWrote checks that each chunk that is stored is what the guest wrote in its
// last round, or in the one that was not at its end.
func (s *site) requireGuestWrote(name string, rounds uint32) {
	s.t.Helper()
	raw := filepath.Join(s.t.TempDir(), "disk.raw")
	out, err := exec.Command("qemu-img", "convert", "-f", "vdi", "-O", "raw", s.stored(name), raw).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	disk, err := os.ReadFile(raw)
	require.NoError(s.t, err)
	for i := range uint32(chunks) {
		sector := (i + 1) * chunkSectors
		got := disk[sector*sectorSize:][:chunkSectors*sectorSize]
		is := func(round uint32) bool { return bytes.Equal(got, chunk(round, sector)) }
		require.True(s.t, is(rounds) || is(rounds+1) || is(rounds+2), "chunk %d is of round %d, or of the next", i, rounds)
	}
}
