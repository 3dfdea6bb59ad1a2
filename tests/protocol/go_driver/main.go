// The Go driver (github.com/go-sql-driver/mysql), by prepared statements: the binary protocol.
// usage: go_driver HOST PORT USER PASSWORD
package main

import (
	"bytes"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

const schema = "protocol_go"

func open(database, params string) (*sql.DB, error) {
	a := os.Args
	return sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s:%s)/%s?maxAllowedPacket=0&parseTime=true%s",
		a[3], a[4], a[1], a[2], database, params))
}

func expect(got, want interface{}) error {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

func number(err error, want uint16) error {
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != want {
		return fmt.Errorf("got %v, want error %d", err, want)
	}
	return nil
}

func connects(db *sql.DB) error {
	for _, kind := range []string{"", "&tls=skip-verify", "&tls=any"} {
		c, err := open("", kind)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Ping(); err != nil {
			return err
		}
	}
	return nil
}

func types(db *sql.DB) error {
	_, err := db.Exec("CREATE TABLE t (a TINYINT, b SMALLINT UNSIGNED, c INT, d BIGINT UNSIGNED, e FLOAT, f DOUBLE, " +
		"g DECIMAL(20,5), h DATE, i TIME(3), j DATETIME(6), k VARCHAR(50), l BLOB, id INT PRIMARY KEY)")
	if err != nil {
		return err
	}
	when := time.Date(2024, 2, 29, 13, 5, 9, 250000000, time.UTC)
	insert := "INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
	if _, err = db.Exec(insert, -128, 65535, -2147483648, uint64(1<<64-1), float32(1.5), 0.1, "-12345.67800",
		when.Format("2006-01-02"), "-838:05:09.250", when, "h\u00e9llo", []byte{0, 1, 255}, 1); err != nil {
		return err
	}
	if _, err = db.Exec(insert, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, 2); err != nil {
		return err
	}
	var a, b, c int64
	var d uint64
	var e, f float64
	var g, i, k string
	var h, j time.Time
	var l []byte
	err = db.QueryRow("SELECT a,b,c,d,e,f,g,h,i,j,k,l FROM t WHERE id = ?", 1).
		Scan(&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l)
	if err != nil {
		return err
	}
	got := []interface{}{a, b, c, d, e, f, g, h.Format("2006-01-02"), i, j, k, l}
	want := []interface{}{-128, 65535, -2147483648, uint64(1<<64 - 1), 1.5, 0.1, "-12345.67800", "2024-02-29",
		"-838:05:09.250", when, "h\u00e9llo", []byte{0, 1, 255}}
	if err := expect(got, want); err != nil {
		return err
	}
	var null sql.NullString
	if err = db.QueryRow("SELECT k FROM t WHERE id = ?", 2).Scan(&null); err != nil {
		return err
	}
	return expect(null.Valid, false)
}

func reuse(db *sql.DB) error {
	s, err := db.Prepare("SELECT ? + 1, ?")
	if err != nil {
		return err
	}
	defer s.Close()
	for i := 0; i < 200; i++ {
		var n int
		var text sql.NullString
		var arg interface{} = fmt.Sprint("text ", i)
		if i%3 == 0 {
			arg = nil
		}
		if err := s.QueryRow(i, arg).Scan(&n, &text); err != nil {
			return err
		}
		if n != i+1 || text.Valid != (arg != nil) {
			return fmt.Errorf("row %d: %d %v", i, n, text)
		}
	}
	return nil
}

func large(db *sql.DB) error {
	var n int
	text := bytes.Repeat([]byte("x"), 17<<20)
	if err := db.QueryRow("SELECT LENGTH(?)", text).Scan(&n); err != nil {
		return err
	}
	if err := expect(n, len(text)); err != nil {
		return err
	}
	var back string
	if err := db.QueryRow("SELECT REPEAT('y', ?)", 17000000).Scan(&back); err != nil {
		return err
	}
	return expect(back == strings.Repeat("y", 17000000), true)
}

func failures(db *sql.DB) error {
	_, err := db.Exec("SELEC ?", 1)
	if err := number(err, 1064); err != nil {
		return err
	}
	_, err = db.Exec("INSERT INTO t (id) VALUES (?)", 1)
	if err := number(err, 1062); err != nil {
		return err
	}
	_, err = db.Query("SELECT * FROM nosuch WHERE a = ?", 1)
	return number(err, 1146)
}

func parallel(db *sql.DB) error {
	if _, err := db.Exec("CREATE TABLE p (id INT PRIMARY KEY, v INT)"); err != nil {
		return err
	}
	db.SetMaxOpenConns(4)
	var wait sync.WaitGroup
	errs := make(chan error, 400)
	for w := 0; w < 4; w++ {
		wait.Add(1)
		go func(w int) {
			defer wait.Done()
			for i := 0; i < 100; i++ {
				if _, err := db.Exec("INSERT INTO p VALUES (?, ?)", w*1000+i, i); err != nil {
					errs <- err
				}
			}
		}(w)
	}
	wait.Wait()
	if len(errs) > 0 {
		return <-errs
	}
	rows, err := db.Query("SELECT id, v FROM p WHERE v >= ? ORDER BY id", 0)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var id, v int
		if err := rows.Scan(&id, &v); err != nil {
			return err
		}
		if id%1000 != v {
			return fmt.Errorf("row %d %d", id, v)
		}
		n++
	}
	return expect(n, 400)
}

func transaction(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	if _, err = tx.Exec("UPDATE p SET v = ? WHERE id = ?", 77, 5); err != nil {
		return err
	}
	if err = tx.Rollback(); err != nil {
		return err
	}
	var v int
	if err = db.QueryRow("SELECT v FROM p WHERE id = ?", 5).Scan(&v); err != nil {
		return err
	}
	return expect(v, 5)
}

func main() {
	_ = mysql.RegisterTLSConfig("any", &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	admin, err := open("", "")
	if err == nil {
		_, err = admin.Exec("DROP DATABASE IF EXISTS " + schema)
	}
	if err == nil {
		_, err = admin.Exec("CREATE DATABASE " + schema)
	}
	if err != nil {
		fmt.Println("FAIL go setup:", err)
		os.Exit(1)
	}
	db, _ := open(schema, "")
	failed := 0
	for _, t := range []struct {
		name string
		run  func(*sql.DB) error
	}{{"connects", connects}, {"types", types}, {"reuse", reuse}, {"large", large}, {"failures", failures},
		{"parallel", parallel}, {"transaction", transaction}} {
		if err := t.run(db); err != nil {
			fmt.Println("FAIL go", t.name+":", err)
			failed++
		} else {
			fmt.Println("PASS go", t.name)
		}
	}
	_, _ = admin.Exec("DROP DATABASE " + schema)
	if failed > 0 {
		os.Exit(1)
	}
}
