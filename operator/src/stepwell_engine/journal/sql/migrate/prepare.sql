create schema if not exists stepwell
