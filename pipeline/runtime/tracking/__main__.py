"""Print the URL of the store, which ``mlflow ui --backend-store-uri`` takes."""

from .store import address

if __name__ == "__main__":
    print(address())
