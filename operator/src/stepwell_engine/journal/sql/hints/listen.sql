listen stepwell
