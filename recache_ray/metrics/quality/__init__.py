"""Models that judge a picture and how well it follows its prompt: HPSv2, CLIPScore, PickScore, ImageReward."""
