package qr

import (
	"math"
)

type point struct{ x, y float64 }

func (p point) to(q point) point         { return point{q.x - p.x, q.y - p.y} }
func (p point) plus(q point) point       { return point{p.x + q.x, p.y + q.y} }
func (p point) times(f float64) point    { return point{p.x * f, p.y * f} }
func (p point) length() float64          { return math.Hypot(p.x, p.y) }
func distance(p, q point) float64        { return p.to(q).length() }
func cross(p, q point) float64           { return p.x*q.y - p.y*q.x }
func (p point) finite() bool             { return math.Abs(p.x) < 1e6 && math.Abs(p.y) < 1e6 }
func alike(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance*max(a, b) }
