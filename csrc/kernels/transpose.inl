// Transposition, a vector's width of rows and columns at a time.
#pragma once

// y (columns, rows) = x (rows, columns) transposed; rows of x stand x_row elements apart, those of y y_row.
template <class T>
void transpose(T* y, index_t y_row, const T* x, index_t x_row, index_t rows, index_t columns) {
  constexpr index_t lanes = Vec<T>::lanes;
  const index_t whole_rows = rows / lanes * lanes, whole_columns = columns / lanes * lanes;
  for (index_t r = 0; r < whole_rows; r += lanes) {
    for (index_t c = 0; c < whole_columns; c += lanes)
      transpose_square(y + c * y_row + r, y_row, x + r * x_row + c, x_row);
  }
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c)
      y[c * y_row + r] = x[r * x_row + c];
  }
}
