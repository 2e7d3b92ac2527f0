from .searches import main

main()
