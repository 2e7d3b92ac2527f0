from .answers import main

main()
