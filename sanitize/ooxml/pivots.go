package ooxml

import (
	"fmt"
	"io"
	"strings"

	"sekisho/internal/xmlscan"
	"sekisho/internal/zipstrict"
)

// pivotStays tells whether a pivot table or cache draws on this workbook alone.
func (d *document) pivotStays(word string, f *zipstrict.File) (bool, error) {
	if word == "pivotTable" {
		rels, err := d.readRelations(f.Name)
		if err != nil {
			return false, err
		}
		for _, r := range rels {
			if _, w := splitRelation(r.typ); w == "pivotCacheDefinition" && !strings.EqualFold(r.mode, "External") {
				c := d.locate(f.Name, r.target)
				if c == nil {
					return false, nil
				}
				return d.cacheStays(c)
			}
		}
		return false, nil
	}
	return d.cacheStays(f)
}

func (d *document) cacheStays(f *zipstrict.File) (bool, error) {
	r, err := d.open(f)
	if err != nil {
		return false, err
	}
	s := xmlscan.New(r)
	ok := false
	for {
		t, err := s.Next()
		if err == io.EOF {
			return ok, nil
		}
		if err != nil {
			return false, fmt.Errorf("part %s: %w", f.Name, mapXML(err))
		}
		if t != xmlscan.Start {
			continue
		}
		switch _, local := xmlscan.Split(s.Name); string(local) {
		case "cacheSource":
			for i := range s.Attrs {
				if string(s.Attrs[i].Name) == "type" {
					ok = string(s.Attrs[i].Value) == "worksheet"
				}
			}
		case "worksheetSource":
			for i := range s.Attrs {
				if p, l := xmlscan.Split(s.Attrs[i].Name); len(p) > 0 && string(l) == "id" {
					return false, nil
				}
			}
			return ok, nil
		case "cacheFields":
			return ok, nil
		}
	}
}
