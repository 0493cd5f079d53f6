// A network of some distance: what one side sends reaches the other after a delay, at any rate.
//
//	delay ONE-WAY HOST:PORT      e.g. delay 10ms localhost:5443; prints its own port, ends with its standard input
//
// At most `window` bytes are under way in each direction, as with the largest receive window that Linux grants by
// itself. What a kernel does at the start of a connection (slow start) is not played.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	piece   = 64 << 10
	window  = 6 << 20
	parcels = 4096
)

func main() {
	delay, err := time.ParseDuration(os.Args[1])
	end(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	end(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		near, err := listener.Accept()
		end(err)
		go joined(near, os.Args[2], delay)
	}
}

func joined(near net.Conn, target string, delay time.Duration) {
	defer near.Close()
	time.Sleep(2 * delay) // a handshake would have taken as long
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	var both sync.WaitGroup
	both.Go(func() { carry(near, far, delay) })
	both.Go(func() { carry(far, near, delay) })
	both.Wait()
}

type parcel struct {
	data []byte
	due  time.Time
}

// Acknowledgements travel back as long, so bytes leave the window one delay after they have arrived.
func carry(from, to net.Conn, delay time.Duration) {
	road := make(chan parcel, parcels)
	room := newRoom(window)
	go func() {
		defer close(road)
		for {
			room.take(piece)
			data := make([]byte, piece)
			got, err := from.Read(data)
			room.give(piece - got)
			if got > 0 {
				road <- parcel{data[:got], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	broken := false
	for one := range road {
		time.Sleep(time.Until(one.due))
		if !broken {
			_, err := to.Write(one.data)
			broken = err != nil
		}
		time.AfterFunc(delay, func() { room.give(len(one.data)) })
	}
	to.(*net.TCPConn).CloseWrite()
}

type room struct {
	free    int
	changed *sync.Cond
}

func newRoom(size int) *room {
	return &room{size, sync.NewCond(new(sync.Mutex))}
}

func (room *room) take(size int) {
	room.changed.L.Lock()
	for room.free < size {
		room.changed.Wait()
	}
	room.free -= size
	room.changed.L.Unlock()
}

func (room *room) give(size int) {
	room.changed.L.Lock()
	room.free += size
	room.changed.L.Unlock()
	room.changed.Signal()
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "delay:", err)
		os.Exit(1)
	}
}
