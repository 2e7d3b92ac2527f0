from .checks import main

main()
