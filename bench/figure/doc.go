// Package figure holds what makes a measured number believable: the machine it was measured on, and
// how far the rounds of a measurement lie apart.
package figure
