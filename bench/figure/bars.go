package figure

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Bar is one figure of a picture: its median, with the whole range of the rounds.
type Bar struct {
	Label  string
	Values []float64
	Ours   bool
}

// Bars draws horizontal bars as SVG. A line at each end tells the range of the rounds.
func Bars(title, unit string, bars []Bar) string {
	const width, left, right, row, top = 720, 190, 90, 30, 46
	largest := 0.0
	for _, b := range bars {
		largest = max(largest, slices.Max(b.Values))
	}
	scale := func(v float64) float64 { return left + v/largest*(width-left-right) }
	height := top + row*len(bars) + 12
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&s, `<text x="12" y="22" font-size="15" font-weight="bold" fill="#222222">%s</text>`+"\n", html.EscapeString(title))
	for i, b := range bars {
		y := top + row*i
		fill := "#9aa5b1"
		if b.Ours {
			fill = "#2463a8"
		}
		median, least, most := Median(b.Values), slices.Min(b.Values), slices.Max(b.Values)
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end" fill="#222222">%s</text>`+"\n", left-10, y+15, html.EscapeString(b.Label))
		fmt.Fprintf(&s, `<rect x="%d" y="%d" width="%.1f" height="20" fill="%s"/>`+"\n", left, y, scale(median)-left, fill)
		fmt.Fprintf(&s, `<path d="M%.1f %dH%.1fM%.1f %dV%dM%.1f %dV%d" stroke="#222222" fill="none"/>`+"\n",
			scale(least), y+10, scale(most), scale(least), y+5, y+15, scale(most), y+5, y+15)
		fmt.Fprintf(&s, `<text x="%.1f" y="%d" fill="#222222">%.2f %s</text>`+"\n", scale(most)+8, y+15, median, html.EscapeString(unit))
	}
	s.WriteString("</svg>\n")
	return s.String()
}
