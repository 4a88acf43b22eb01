"""Numbers that compare images, without a sign convention: LPIPS, PSNR, SSIM."""
