// pgx at its default settings against one database: everyday use by many clients at once.
//
// usage: pgx DSN CLIENTS ROUNDS        prints "ok QUERIES", or the first error and exits 1; another use is in chaos.go
//
// Called by tests/e2e/test_prepared.py through pgroute and, to see the program itself right, directly.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var queries int64

// round is one client's everyday use; every answer must be this client's.
func round(ctx context.Context, db *pgx.Conn, client, n int) error {
	nonce := fmt.Sprintf("%d-%d", client, n)
	var text string
	var number int
	if err := db.QueryRow(ctx, "SELECT $1::text, $2::int + 1", nonce, n).Scan(&text, &number); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	if text != nonce || number != n+1 {
		return fmt.Errorf("asked %s and %d, got %s and %d", nonce, n+1, text, number)
	}
	// a text of this round only: statements come and go in the driver's cache
	if err := db.QueryRow(ctx, fmt.Sprintf("SELECT $1::int * %d", n), client).Scan(&number); err != nil {
		return fmt.Errorf("one-shot query: %w", err)
	}
	if number != client*n {
		return fmt.Errorf("%d * %d gave %d", client, n, number)
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if _, err := tx.Exec(ctx, "SELECT set_config('work_mem', '77MB', true)"); err != nil {
		return fmt.Errorf("in transaction: %w", err)
	}
	if err := tx.QueryRow(ctx, "SELECT $1::text || current_setting('work_mem')", nonce).Scan(&text); err != nil {
		return fmt.Errorf("in transaction: %w", err)
	}
	if text != nonce+"77MB" {
		return fmt.Errorf("in transaction: %q", text)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	batch := &pgx.Batch{}
	for k := 0; k < 5; k++ {
		batch.Queue("SELECT $1::int + $2::int", client, k)
	}
	results := db.SendBatch(ctx, batch)
	for k := 0; k < 5; k++ {
		if err := results.QueryRow().Scan(&number); err != nil {
			return fmt.Errorf("batch: %w", err)
		}
		if number != client+k {
			return fmt.Errorf("batch: %d + %d gave %d", client, k, number)
		}
	}
	if err := results.Close(); err != nil {
		return fmt.Errorf("end of batch: %w", err)
	}
	var failed *pgconn.PgError
	if _, err := db.Exec(ctx, "SELECT 1 / $1::int", 0); !errors.As(err, &failed) || failed.Code != "22012" {
		return fmt.Errorf("division by zero gave %v", err)
	}
	atomic.AddInt64(&queries, 10)
	return nil
}

func run(dsn string, client, rounds int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	db, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer db.Close(ctx)
	for n := 0; n < rounds; n++ {
		if err := round(ctx, db, client, n); err != nil {
			return fmt.Errorf("client %d, round %d: %w", client, n, err)
		}
	}
	return nil
}

func main() {
	if os.Args[1] == "chaos" {
		chaos(os.Args[2], os.Args[3], os.Args[4:])
		return
	}
	clients, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	rounds, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	failures := make(chan error, clients)
	var group sync.WaitGroup
	for client := 0; client < clients; client++ {
		group.Add(1)
		go func(client int) {
			defer group.Done()
			if err := run(os.Args[1], client, rounds); err != nil {
				failures <- err
			}
		}(client)
	}
	group.Wait()
	select {
	case err := <-failures:
		fmt.Println(err)
		os.Exit(1)
	default:
		fmt.Println("ok", queries)
	}
}
